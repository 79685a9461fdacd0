"""What every test stands on: a clean environment, no network but loopback, a moto server."""

from __future__ import annotations

import contextlib
import errno
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import hypothesis
import pytest

from tests.support.moto import serve_moto
from tests.support.programs import Programs

# Times of single examples say nothing on a busy machine, and the first one imports what it needs.
hypothesis.settings.register_profile("s3po", deadline=None)
hypothesis.settings.load_profile("s3po")

#: A real store that joins the contract suite, with AWS_* for it; read before the environment is cleaned.
REAL_ENDPOINT = os.environ.get("S3PO_TEST_ENDPOINT")
_AWS = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}

# Shells start what runs in the background with SIGINT ignored, which children would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def _is_loopback(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("latin-1")
    if host is None or host in ("", "localhost"):
        return True
    if not isinstance(host, str):
        return False
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _keep_inside(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: the world outside of this machine is not there."""
    if event == "socket.getaddrinfo":
        host = args[0]
        try:
            if host is not None:
                ipaddress.ip_address(host if isinstance(host, str) else host.decode())
            return
        except ValueError:
            pass
        if not _is_loopback(host):
            raise socket.gaierror(socket.EAI_NONAME, f"tests do not look up {host!r}")
    elif event in ("socket.connect", "socket.sendto"):
        address = args[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise OSError(errno.ENETUNREACH, f"tests do not connect to {address!r}")


if REAL_ENDPOINT is None:
    sys.addaudithook(_keep_inside)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave every second combination of the parameters of `sampled` tests to `make test-exhaustive`."""
    for item in items:
        if item.get_closest_marker("sampled") is not None:
            # The sum, so that each value of a parameter comes with some of each other one.
            indices = item.callspec.indices.values()  # type: ignore[attr-defined]
            if sum(indices) % 2:
                item.add_marker(pytest.mark.exhaustive)


def pytest_collection_finish() -> None:
    """Keep thousands of collected tests out of each later garbage collection, of which tests ask for many."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was() -> Iterator[None]:
    """What a program under test sets up for its logging is not for other tests."""
    root, ours = logging.getLogger(), logging.getLogger("s3po")
    before = root.level, [*root.handlers], ours.level
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    ours.setLevel(before[2])


@pytest.fixture(autouse=True)
def clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No credentials, settings, proxies or dot files of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in _PROXIES or name in _BUNDLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(_home(tmp_path_factory)))
    # No test waits for a metadata service that is not there.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _home(factory: pytest.TempPathFactory) -> os.PathLike[str]:
    path = factory.getbasetemp() / "home"
    path.mkdir(exist_ok=True)
    return path


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Programs in processes of their own, at little cost."""
    with contextlib.closing(Programs(tmp_path_factory.mktemp("programs"))) as programs:
        yield programs


class Place(NamedTuple):
    """A store that can be reached by any client."""

    url: str
    access_key: str
    secret_key: str
    token: str | None = None
    region: str = "us-east-1"


@pytest.fixture(scope="session")
def real_place() -> Place:
    """The store that S3PO_TEST_ENDPOINT and AWS_* name."""
    if REAL_ENDPOINT is None:
        pytest.skip("S3PO_TEST_ENDPOINT names no store")
    return Place(
        REAL_ENDPOINT,
        _AWS["AWS_ACCESS_KEY_ID"],
        _AWS["AWS_SECRET_ACCESS_KEY"],
        _AWS.get("AWS_SESSION_TOKEN"),
        _AWS.get("AWS_REGION") or _AWS.get("AWS_DEFAULT_REGION") or "us-east-1",
    )


@pytest.fixture(scope="session")
def moto_place() -> Iterator[Place]:
    """A moto server in a process of its own."""
    with serve_moto() as port:
        yield Place(f"http://127.0.0.1:{port}", "moto-key", "moto-secret")
