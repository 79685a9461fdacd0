"""SOCKS proxies, with PySocks and without, in programs that gevent patched and others."""

from __future__ import annotations

import time

import gevent
import pytest

import s3po
from s3po.errors import ConfigError, ConnectionFailed, TransportTimeout
from tests.support.matrix import alternate
from tests.support.programs import Programs
from tests.support.socks_server import SOCKSServer

OK = b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 2\r\n\r\nok'


@pytest.fixture
def socks_server():
    made = []

    def start(**settings):
        made.append(SOCKSServer(**settings))
        return made[-1]

    yield start
    for server in made:
        server.stop()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_is_looked_up_by_the_proxy_with_socks5h(
    serve, make_session, request_to, authority, socks_server, scheme
):
    secure = scheme == "https"
    server = serve([OK, OK], context=authority.context("store.example.com") if secure else None)
    proxy = socks_server()
    session = make_session(
        verify=authority.bundle, proxies={scheme: f"socks5h://127.0.0.1:{proxy.port}"}
    )
    request = request_to(
        server, "PUT", body=bytes(1 << 20), scheme=scheme, host="store.example.com"
    )
    for _ in range(2):
        assert session.send(request).content == b"ok"
    assert proxy.asked == [("store.example.com", server.port)]
    assert server.requests[0].startswith(b"PUT /key HTTP/1.1\r\n")
    assert server.requests[0].endswith(bytes(1 << 20))
    assert server.connections == 1


def test_a_name_is_looked_up_here_with_socks5(serve, make_session, request_to, socks_server):
    server = serve([OK])
    proxy = socks_server()
    session = make_session(proxies={"http": f"socks5://127.0.0.1:{proxy.port}"})
    assert session.send(request_to(server, host="localhost")).content == b"ok"
    assert proxy.asked[0][0] in ("127.0.0.1", "::1")


def test_the_environment_names_a_socks_proxy(
    serve, make_session, request_to, socks_server, monkeypatch
):
    server = serve([OK])
    proxy = socks_server()
    monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
    assert make_session().send(request_to(server, host="store.example.com")).content == b"ok"
    assert proxy.asked == [("store.example.com", server.port)]


def test_a_user_and_a_password_are_sent(serve, make_session, request_to, socks_server):
    server = serve([OK])
    proxy = socks_server(user="me", password="s@cret")
    session = make_session(proxies={"http": f"socks5h://me:s%40cret@127.0.0.1:{proxy.port}"})
    assert session.send(request_to(server, host="store.example.com")).content == b"ok"


@pytest.mark.parametrize("login", ["", "me:wrong-s@cret@"])
def test_a_proxy_that_wants_another_password(
    make_session, request_to, socks_server, login, caplog, capfd
):
    proxy = socks_server(user="me", password="s@cret")
    login = login.replace("s@c", "s%40c")
    session = make_session(proxies={"http": f"socks5h://{login}127.0.0.1:{proxy.port}"})
    with pytest.raises(ConnectionFailed, match="proxy") as caught:
        session.send(request_to(80, host="store.example.com"))
    assert not caught.value.request_sent
    assert caught.value.permanent
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert "cret" not in shown
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"refuse": 2}, "not allowed"), ({"refuse": 5}, "refused"), ({"garbage": b"HT"}, "SOCKS")],
)
def test_a_proxy_that_refuses(make_session, request_to, socks_server, settings, word):
    proxy = socks_server(**settings)
    session = make_session(proxies={"http": f"socks5h://127.0.0.1:{proxy.port}"})
    with pytest.raises(ConnectionFailed, match=word) as caught:
        session.send(request_to(80, host="store.example.com"))
    assert not caught.value.request_sent
    assert f"127.0.0.1:{proxy.port}" in str(caught.value)


def test_nobody_listens_where_the_proxy_should_be(make_session, request_to, socks_server):
    proxy = socks_server()
    proxy.stop()
    session = make_session(proxies={"http": f"socks5h://127.0.0.1:{proxy.port}"})
    with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{proxy.port}") as caught:
        session.send(request_to(80, host="store.example.com"))
    assert not caught.value.request_sent


def test_a_proxy_that_is_silent_is_a_timeout_and_lets_others_run(
    make_session, request_to, socks_server
):
    proxy = socks_server(silent=True)
    session = make_session(
        connect_timeout=0.3, proxies={"http": f"socks5h://127.0.0.1:{proxy.port}"}
    )
    ticks = []

    def tick():
        while True:
            ticks.append(None)
            gevent.sleep(0.01)

    ticking = gevent.spawn(tick)
    begun = time.monotonic()
    with pytest.raises(TransportTimeout) as caught:
        session.send(request_to(80, host="store.example.com"))
    ticking.kill()
    assert not caught.value.request_sent
    assert time.monotonic() - begun < 3
    assert len(ticks) > 5


def test_the_handshake_has_the_rest_of_the_time(serve, make_session, request_to, socks_server):
    server = serve([lambda peer: peer.receive()])
    proxy = socks_server()
    session = make_session(
        connect_timeout=0.3, proxies={"https": f"socks5h://127.0.0.1:{proxy.port}"}
    )
    with pytest.raises(TransportTimeout, match="TLS handshake"):
        session.send(request_to(server, scheme="https", host="store.example.com"))


PROGRAM = """
import sys
patched, scheme, proxy, url, bundle = sys.argv[1:]
import s3po
config = s3po.Config(
    max_attempts=1, connect_patience=0, proxies={scheme: proxy}, verify=bundle or None,
    addressing_style="path",
)
conn = s3po.Connection("k", "s", endpoint_url=url, region_name="us-east-1", config=config)
if patched == "in a thread":
    import threading
    thread = threading.Thread(target=lambda: print(conn.download("bucket", "key")))
    thread.start()
    thread.join()
elif patched == "in greenlets":
    import gevent
    ours = [gevent.spawn(conn.download, "bucket", "key") for _ in range(3)]
    gevent.joinall(ours, raise_error=True)
    print(ours[0].value)
else:
    print(conn.download("bucket", "key"))
"""


@pytest.mark.parametrize(
    ("scheme", "kind"),
    alternate(["http", "https"], ["plain", "patched", "in a thread", "in greenlets"]),
)
def test_programs_of_all_kinds(serve, authority, socks_server, kind, scheme, programs: Programs):
    context = authority.context("store.example.com") if scheme == "https" else None
    server = serve([OK], context=context)
    proxy = socks_server(user="me", password="secret")
    done = programs.run(
        "patched" if kind == "patched" else "unpatched",
        PROGRAM,
        kind,
        scheme,
        f"socks5h://me:secret@127.0.0.1:{proxy.port}",
        f"{scheme}://store.example.com:{server.port}",
        authority.bundle,
    )
    assert (done.stdout.strip(), done.stderr) == ("b'ok'", "")
    assert proxy.asked[0] == ("store.example.com", server.port)


@pytest.mark.parametrize("where", ["Config", "environment"])
def test_without_pysocks_the_extra_is_named_and_nothing_is_sent(
    where, programs: Programs, monkeypatch
):
    program = """
import sys
sys.modules["socks"] = None
import s3po
config = s3po.Config(proxies={"http": "socks5h://me:secret@127.0.0.1:1"} if sys.argv[1] == "Config" else None)
conn = s3po.Connection("k", "s", endpoint_url="http://store.example.com", region_name="us-east-1", config=config)
try:
    conn.exists("bucket", "key")
except s3po.ConfigError as error:
    print(error)
"""
    if where == "environment":
        monkeypatch.setenv("ALL_PROXY", "socks5h://me:secret@127.0.0.1:1")
    done = programs.run("unpatched", program, where)
    assert done.stderr == ""
    assert "s3po[socks]" in done.stdout
    assert "secret" not in done.stdout


def test_a_broken_url_of_a_socks_proxy(make_session, request_to):
    for proxy in ("socks5h://", "socks5h://127.0.0.1:99999", "socks9://127.0.0.1:1"):
        with pytest.raises(ConfigError):
            make_session(proxies={"http": proxy}).send(request_to(80, host="store.example.com"))


def test_the_password_is_in_no_repr():
    config = s3po.Config(proxies={"http": "socks5h://me:secret@127.0.0.1:1"})
    assert "secret" not in repr(config)
