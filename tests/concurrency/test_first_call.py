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
