"""The start of a process of the command line: what is postponed, and that nothing else differs."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import gevent.monkey
import pytest

from s3po import Connection
from s3po.cli.start import MODULES, SIGNING_FUNCTIONS, SIGNING_MODULES
from tests.cli.conftest import Run

POSTPONED = sorted({*MODULES, *SIGNING_MODULES, *SIGNING_FUNCTIONS, "dateutil.parser"})

STARTED = """
import sys
from types import ModuleType
from s3po.cli.start import Start
from s3po.cli.parser import parse

def postponed(name):
    return type(sys.modules[name]).__name__ == "_Postponed"

start = Start()
"""

IMPORTED = f"""{STARTED}
start.imported(*parse("ls", ["s3://bucket"]))
assert "botocore.auth" in sys.modules
"""


def run_program(script: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_command_executes_no_postponed_module(store: Connection) -> None:  # noqa: ARG001
    # Before it was a package, gevent.monkey used inspect while it was imported.
    names = [each for each in POSTPONED if each != "inspect" or hasattr(gevent.monkey, "__path__")]
    script = (
        "import sys; from s3po.cli.main import main\n"
        "sys.argv = ['s3po', 'ls', 's3://bucket']\n"
        "assert main() == 0\n"
        f"for name in {names!r}:\n"
        "    module = sys.modules.get(name)\n"
        "    assert module is None or type(module).__name__ == '_Postponed', name"
    )
    run_program(script)


def test_the_command_line_within_a_program_changes_nothing_of_it(run: Run) -> None:
    before = (re.compile, gc.isenabled(), gc.get_freeze_count())
    assert run("ls", "s3://bucket").code == 0
    assert (re.compile, gc.isenabled(), gc.get_freeze_count()) == before


def test_garbage_is_collected_while_a_command_runs() -> None:
    run_program(
        f"{STARTED}import gc\n"
        "assert not gc.isenabled()\n"
        "start.imported(*parse('ls', ['s3://bucket']))\n"
        "assert gc.isenabled()\n"
        "assert gc.get_freeze_count() > 10_000\n"
    )


def test_requests_that_are_not_signed_do_not_import_botocore() -> None:
    run_program(
        f"{STARTED}start.imported(*parse('ls', ['s3://bucket', '--no-sign-request']))\n"
        "assert 's3po.connection' in sys.modules\n"
        "assert 'botocore.auth' not in sys.modules\n"
    )


def test_regular_expressions_of_functions_are_compiled_at_once() -> None:
    run_program(
        f"{STARTED}import re\n"
        "assert type(re.compile('a')).__name__ == 'Pattern'\n"
        "def f(text): return re.compile(text)\n"
        "assert type(f('b')) is re.Pattern\n"
        "assert type(re.compile(f('b'))) is re.Pattern\n"
        "try: f('(')\n"
        "except re.error: pass\n"
        "else: raise AssertionError\n"
        "class Word:\n"
        "    find = re.compile('c', flags=re.I).search\n"
        "assert Word.find('C')\n"
    )


USES = {
    "functions": """
import inspect, zipfile, gzip, shlex, platform, pprint, io
assert list(inspect.signature(lambda a, *, b: 0).parameters) == ["a", "b"]
assert gzip.decompress(gzip.compress(b"howdy")) == b"howdy"
assert shlex.split("a 'b c'") == ["a", "b c"]
assert platform.python_version_tuple()[0] == "3"
assert pprint.pformat({}) == "{}"
assert zipfile.is_zipfile(io.BytesIO(b"")) is False
from dateutil.tz import tzutc, tzlocal
import botocore.compat, dateutil.parser
assert botocore.compat.tzlocal() == tzlocal()
assert dateutil.parser.isoparse("2026-01-01T00:00:00Z").tzinfo == tzutc()
""",
    "attributes-of-packages": """
import botocore.awsrequest, botocore.httpsession, dateutil.parser
assert botocore.awsrequest is sys.modules["botocore.awsrequest"]
assert botocore.awsrequest.AWSRequest(url="http://localhost").url == "http://localhost"
assert botocore.httpsession.URLLib3Session
assert vars(dateutil)["parser"] is dateutil.parser is sys.modules["dateutil.parser"]
""",
    "times": """
import botocore.utils
assert botocore.utils.parse_timestamp("2026-01-01T00:00:00Z").isoformat() == "2026-01-01T00:00:00+00:00"
""",
    "boto3": """
import boto3
client = boto3.client("s3", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
url = client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
assert "Signature" in url
assert not postponed("botocore.httpsession")
""",
    "regular-expressions": """
import urllib3.util, requests, email.header, http.cookies
assert urllib3.util.parse_url("http://[::1]:80/a%20b?c=d").host == "[::1]"
assert requests.Request("GET", "http://localhost/a b").prepare().url == "http://localhost/a%20b"
assert http.cookies.SimpleCookie("a=b")["a"].value == "b"
assert email.header.decode_header("=?utf-8?q?a?=") == [(b"a", "utf-8")]
""",
    "threads": f"""
import importlib, threading
names = {POSTPONED!r}
barrier = threading.Barrier(8)
failed = []
def use(first):
    barrier.wait()
    for name in names[first:] + names[:first]:
        module = importlib.import_module(name)
        try:
            dir(module), module.__doc__
            assert type(module) is ModuleType, name
        except BaseException as error:
            failed.append(error)
threads = [threading.Thread(target=use, args=(number,), daemon=True) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join(60)
assert not any(thread.is_alive() for thread in threads)
assert failed == []
""",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_is_postponed_works_when_it_is_used(use: str) -> None:
    run_program(IMPORTED + use)


@pytest.mark.parametrize("name", POSTPONED)
def test_no_module_accesses_during_its_import_a_postponed_one_that_imports_it(name: Any) -> None:
    """Two threads could otherwise wait for each other."""
    if find_spec(name) is None:
        pytest.skip("an older version of the package has no such module")
    run_program(
        "import builtins, importlib, sys\n"
        f"name = {name!r}\n"
        "importlib.import_module(name.rpartition('.')[0] or 'sys')\n"
        "real, wrong = builtins.__import__, []\n"
        "def record(module, scope=None, names=None, from_names=(), level=0):\n"
        "    own = (scope or {}).get('__name__', '')\n"
        "    package = (scope or {}).get('__package__') or ''\n"
        "    if level > 1: package = package.rsplit('.', level - 1)[0]\n"
        "    full = '.'.join(filter(None, [package, module])) if level else module\n"
        "    if full == name and own != name and from_names and not all(\n"
        "        f'{name}.{each}' in sys.modules for each in from_names\n"
        "    ): wrong.append((own, from_names))\n"
        "    return real(module, scope, names, from_names, level)\n"
        "builtins.__import__ = record\n"
        "importlib.import_module(name)\n"
        "assert wrong == [], wrong\n"
    )
