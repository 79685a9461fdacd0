"""Sources in whole programs: patched by gevent, in native threads, at a terminal, after a fork."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MAKE = """
from s3po.credentials import make_context, resolve_provider
from s3po.sigv4 import Signer

def provider():
    context = make_context(region="eu-west-1", signer=lambda region: Signer(region, "sts"))
    return resolve_provider(access_key=None, secret_key=None, token=None, profile_name=None,
                            anonymous=False, context=context)
"""


def run(program: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        **keywords,
    )


@pytest.fixture
def program(home: Path) -> Path:
    """A credential_process that counts how often it is run."""
    answer = json.dumps({"Version": 1, "AccessKeyId": "PROC", "SecretAccessKey": "hush"})
    path = home / "program"
    path.write_text(f"#!/bin/sh\necho run >> {home}/runs\nsleep 0.2\necho '{answer}'\n")
    path.chmod(0o755)
    (home / ".aws" / "config").write_text(f"[default]\ncredential_process = {path}\n")
    return path


GREENLETS = """
import gevent
asked = provider()
ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.005)
ticking = gevent.spawn(tick)
jobs = [gevent.spawn(asked.get) for _ in range(20)]
gevent.joinall(jobs, raise_error=True)
ticking.kill()
assert {job.value.access_key for job in jobs} == {"PROC"}
assert len(ticks) > 5, len(ticks)
"""


@pytest.mark.parametrize("patch", ["", "import gevent.monkey; gevent.monkey.patch_all()"])
def test_a_program_is_run_once_while_greenlets_go_on(home: Path, program: Path, patch: str) -> None:
    assert program.exists()
    done = run(f"{patch}\n{MAKE}\n{GREENLETS}")
    assert done.returncode == 0, done.stderr
    assert (home / "runs").read_text() == "run\n"


THREADS = """
import threading
asked = provider()
found = []
threads = [threading.Thread(target=lambda: found.append(asked.get().access_key)) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert found == ["PROC"] * 8, found
"""


@pytest.mark.parametrize("patch", ["", "import gevent.monkey; gevent.monkey.patch_all()"])
def test_a_program_is_run_once_for_native_threads(home: Path, program: Path, patch: str) -> None:
    assert program.exists()
    done = run(f"{patch}\n{MAKE}\n{THREADS}")
    assert done.returncode == 0, done.stderr
    assert (home / "runs").read_text() == "run\n"


FORK = """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
asked = provider()
first = asked.get().access_key
child = os.fork()
if child == 0:
    os._exit(0 if asked.get().access_key == first and provider().get().access_key == first else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert asked.get().access_key == first
"""


def test_a_child_of_a_fork_asks_by_itself(services: Any, home: Path) -> None:
    (home / "web").write_text("token")
    (home / ".aws" / "config").write_text(
        f"[default]\nrole_arn = r\nweb_identity_token_file = {home}/web\n"
    )
    done = run(f"{MAKE}\n{FORK}")
    assert done.returncode == 0, done.stderr
    assert len(services.seen) == 2


TERMINAL = """
credentials = provider().get()
print(credentials.access_key)
"""


def test_an_mfa_code_is_asked_for_at_the_terminal(services: Any, home: Path) -> None:
    (home / ".aws" / "config").write_text(
        "[default]\nrole_arn = r\nsource_profile = a\nmfa_serial = arn:aws:iam::1:mfa/me\n"
        "[profile a]\naws_access_key_id = AKID\naws_secret_access_key = hush\n"
    )
    terminal, stdin = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", f"{MAKE}\n{TERMINAL}"],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stderr is not None
        prompt = b""
        # What is typed before is thrown away.
        while b"mfa/me: " not in prompt:
            letter = process.stderr.read(1)
            assert letter, prompt
            prompt += letter
        assert prompt == b"MFA code for arn:aws:iam::1:mfa/me: "
        os.write(terminal, b"123456\n")
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(stdin)
    assert output.startswith(b"ASIA")
    assert services.seen[0].form["TokenCode"] == "123456"


def test_nobody_is_asked_where_there_is_no_terminal(services: Any, home: Path) -> None:
    (home / ".aws" / "config").write_text(
        "[default]\nrole_arn = r\nsource_profile = a\nmfa_serial = m\n"
        "[profile a]\naws_access_key_id = AKID\naws_secret_access_key = hush\n"
    )
    done = run(f"{MAKE}\n{TERMINAL}", stdin=subprocess.DEVNULL)
    assert "there is no terminal to ask for a code" in done.stderr
    assert not services.seen
