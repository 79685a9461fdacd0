"""What is imported when: a change that adds a package to the start of a program is seen here.

The table in CONTRIBUTING.md says why each is there.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from typing import Any

import pytest

#: Since 2.1.
HTTP2 = find_spec("urllib3.http2") is not None
BODY = bytes(1024)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nETag: "
    b'"0f343b0931126a20f133d67c2b018a3b"\r\nConnection: close\r\n\r\n' + BODY
)

STAGES = """
import json, sys
known = {*sys.modules}

def loaded():
    # Those that were postponed are there, and were not executed.
    return sorted(
        name for name, module in sys.modules.items()
        if name not in known and type(module).__name__ != "_Postponed"
        and not name.startswith("requests.packages.")
    )

found = {}
import s3po
found["import"] = loaded()
s3po.Connection
found["class"] = loaded()
connection = s3po.Connection("key", "secret", region_name="us-east-1", endpoint_url=URL)
found["connection"] = loaded()
assert len(connection.download("bucket", "key")) == 1024
found["get"] = loaded()
print(json.dumps(found))
"""

#: Third-party packages that a client needs, and what they import.
CLIENT = {"certifi", "gevent", "greenlet", "idna", "requests", "urllib3", "zope"}
SIGNED = CLIENT | {"botocore", "dateutil", "six"}
#: Those that requests, urllib3 and gevent import where they happen to be installed.
IF_INSTALLED = {
    *("OpenSSL", "_brotli", "_brotlicffi", "_cffi_backend", "_zstandard", "backports", "brotli"),
    *("brotlicffi", "cffi", "chardet", "compression", "cryptography", "h2", "hpack", "hyperframe"),
    *("awscrt", "dns", "psutil", "pyximport", "simplejson", "socks", "typing_extensions"),
    *("zstandard",),
}
#: Modules of the standard library that take their time, which nothing here needs.
SLOW = {
    *("argparse", "asyncio", "concurrent.futures.process", "ctypes"),
    *("difflib", "http.server", "importlib.metadata", "multiprocessing", "optparse"),
    *("pdb", "pydoc", "sqlite3", "tarfile", "unittest", "uuid", "xmlrpc"),
}
#: Modules of s3po that are imported when somebody uses them.
LATER = {
    *("batch", "cli", "cluster", "contrib", "file", "fs", "mock", "paths", "pytest_plugin", "slim"),
    *("auth", "rest.operations", "rest.shapes", "transport.socks"),
}


@pytest.fixture(scope="module")
def stages() -> dict[str, list[str]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        thread = threading.Thread(target=_answer, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        output = _run(f"URL = {url!r}\n{STAGES}")
        thread.join()
    found: dict[str, list[str]] = json.loads(output)
    return found


def _answer(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        connection.sendall(ANSWER)


def _run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def third_party(modules: list[str]) -> set[str]:
    # Of a package that was postponed, its version may be there.
    packages = {name for name in modules if "." not in name and "cython" not in name} - {"s3po"}
    return packages - sys.stdlib_module_names - IF_INSTALLED


@pytest.mark.parametrize(
    ("stage", "packages"),
    [("import", set()), ("class", CLIENT), ("connection", CLIENT), ("get", SIGNED)],
    ids=["import", "class", "connection", "get"],
)
def test_third_party_packages_are_those_of_the_table(
    stages: Any, stage: str, packages: Any
) -> None:
    assert third_party(stages[stage]) == packages


def test_import_s3po_imports_one_module(stages: Any) -> None:
    assert {*stages["import"]} <= {"s3po", "__future__"}


def test_a_first_object_needs_no_slow_module_of_the_standard_library(stages: Any) -> None:
    assert SLOW.intersection(stages["get"]) == set()


def test_modules_for_other_uses_are_not_imported_for_a_first_object(stages: Any) -> None:
    found = [
        name
        for name in stages["get"]
        for later in LATER
        if name == f"s3po.{later}" or name.startswith(f"s3po.{later}.")
    ]
    assert found == []


def test_a_first_get_imports_botocores_signers_and_no_client(stages: Any) -> None:
    unwanted = {"botocore.client", "botocore.credentials", "botocore.loaders", "botocore.session"}
    assert unwanted.intersection(stages["get"]) == set()
    assert "botocore.auth" in stages["get"]


# Postponed modules

POSTPONED = """
import sys
from types import ModuleType
import s3po
from s3po.sigv4.signer import load_botocore
s3po.Connection
load_botocore()
NAMES = ["charset_normalizer", "dateutil.parser", "urllib3.http2"]
if not HTTP2:
    NAMES.pop()

def postponed(name):
    module = sys.modules[name]
    return type(module) is not ModuleType and not vars(module).get("__all__")

assert [name for name in NAMES if not postponed(name)] == [], "nothing of them was executed"
"""

USES = {
    "charset-normalizer": """
import charset_normalizer, importlib.metadata, requests.compat, requests.packages
assert requests.compat.chardet is charset_normalizer is sys.modules["requests.packages.chardet"]
assert charset_normalizer.__version__ == importlib.metadata.version("charset_normalizer")
assert postponed("charset_normalizer"), "the version alone executes nothing"
response = requests.Response()
response._content = "Größe, Übung, Straße und schöne Bäume".encode("utf-8")
assert response.apparent_encoding == "utf-8"
assert type(charset_normalizer) is ModuleType
from charset_normalizer import from_bytes
assert str(from_bytes(b"howdy").best()) == "howdy"
""",
    "http2": """
import urllib3, urllib3.http2
assert urllib3.http2 is sys.modules["urllib3.http2"]
from urllib3.http2 import extract_from_urllib3, probe
assert type(urllib3.http2) is ModuleType
assert urllib3.connection.http2_probe is probe is urllib3.http2.probe
extract_from_urllib3()
""",
    "boto3": """
import boto3, botocore.session
client = boto3.client("s3", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
url = client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
assert "Signature" in url
""",
    "dateutil": """
import dateutil.parser
assert postponed("dateutil.parser")
assert vars(dateutil)["parser"] is dateutil.parser is sys.modules["dateutil.parser"]
from dateutil.parser import ParserError
assert type(dateutil.parser) is ModuleType
assert dateutil.parser.isoparse("2026-01-01").year == 2026
import botocore.utils
assert botocore.utils.parse_timestamp("2026-01-01T00:00:00Z").year == 2026
try: dateutil.parser.parse("x")
except ParserError: pass
""",
    "an attribute that none has": """
import charset_normalizer
assert not hasattr(charset_normalizer, "no_such_name")
assert type(charset_normalizer) is ModuleType
try:
    from charset_normalizer import no_such_name
except ImportError:
    pass
else:
    raise AssertionError
""",
    "threads": """
import threading
barrier = threading.Barrier(8)
found = []
def use():
    barrier.wait()
    import charset_normalizer
    found.append((charset_normalizer.from_bytes, charset_normalizer.api))
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(found) == 8 and len(set(found)) == 1
""",
    "a fork": """
import os
import charset_normalizer
child = os.fork()
if not child:
    os._exit(0 if str(charset_normalizer.from_bytes(b"howdy").best()) == "howdy" else 1)
assert os.waitpid(child, 0)[1] == 0
assert postponed("charset_normalizer")
""",
}


@pytest.mark.parametrize("use", USES.values(), ids=[name.replace(" ", "-") for name in USES])
def test_a_postponed_module_is_the_module_once_it_is_used(use: str) -> None:
    if not HTTP2 and "urllib3.http2" in use:
        pytest.skip("this urllib3 has no HTTP/2")
    _run(f"HTTP2 = {HTTP2}\n{POSTPONED}{use}")


def test_modules_that_a_program_has_imported_are_left_alone() -> None:
    _run(
        "import requests, sys\n"
        "names = {'charset_normalizer', 'urllib3.http2'} & {*sys.modules}\n"
        "assert names\n"
        "before = {name: sys.modules[name] for name in names}\n"
        "import s3po\n"
        "s3po.Connection\n"
        "assert all(sys.modules[name] is module for name, module in before.items())\n"
        "assert {type(module) for module in before.values()} == {type(sys)}\n"
    )


def test_the_import_system_is_left_as_it_was() -> None:
    _run(
        "import builtins, sys\n"
        "before = (sys.meta_path, [*sys.meta_path], sys.path_hooks[:], builtins.__import__)\n"
        "import s3po\n"
        "s3po.Connection\n"
        "assert before == (sys.meta_path, [*sys.meta_path], sys.path_hooks, builtins.__import__)\n"
    )
