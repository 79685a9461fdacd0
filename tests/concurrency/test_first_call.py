"""The first call loads what it needs; other greenlets run meanwhile."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import gevent
import s3po

conn = s3po.Connection("access", "secret", region_name="us-east-1")
ticks = []
done = False

def tick():
    while not done:
        # The name of a module is there from the beginning of its import.
        ticks.append("botocore" in sys.modules and not hasattr(sys.modules.get("s3po.sigv4.auth"), "S3PostAuth"))
        gevent.sleep(0.001)

ticker = gevent.spawn(tick)
gevent.sleep(0.005)
CALL
done = True
ticker.get(timeout=30)
# It takes many times as long as a tick.
assert ticks.count(True) >= 2, ticks
"""


CALLS = {
    "request": 'with conn.mock(): conn.conn.create_bucket("bucket")',
    "presign": 'conn.presign("GET", "bucket", "key")',
    "presign_post": 'conn.presign_post("bucket", "key")',
}


@pytest.mark.parametrize("call", CALLS)
def test_greenlets_run_while_the_first_call_imports_the_signer(call: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("CALL", CALLS[call])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


AMID_THE_IMPORT = """
import os, sys
import gevent
import s3po

conn = s3po.Connection("access", "secret", region_name="us-east-1")
calls = []
ticks = 0

def is_loading():
    return "s3po.sigv4.auth" in sys.modules and not hasattr(sys.modules["s3po.sigv4.auth"], "S3PostAuth")

def tick():
    global ticks
    while not calls or not calls[-1].ready():
        if is_loading():
            if len(calls) < 20:
                calls.append(gevent.spawn(conn.presign, "GET", "bucket", "key"))
            ticks += 1
        gevent.sleep(0.001)

first = gevent.spawn(tick)
gevent.sleep(0.005)
conn.presign("GET", "bucket", "key")
first.join(timeout=30)
gevent.joinall(calls, timeout=30, raise_error=True)
assert ticks >= 3, ticks
assert len(os.listdir("/proc/self/task")) == 2, os.listdir("/proc/self/task")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_calls_that_come_amid_the_import_wait_without_a_thread_of_their_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AMID_THE_IMPORT],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
