"""A fork while another thread imports what is loaded on first use: the child must not wait for that thread."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys, threading
import s3po

conn = s3po.Connection("access", "secret", region_name="us-east-1")
begun, go_on = threading.Event(), threading.Event()

class Slow:
    # The import waits until the fork is under way.
    def find_spec(self, name, path=None, target=None):
        if name == "MODULE" and not begun.is_set():
            begun.set()
            assert go_on.wait(30)

def call():
    CALL

sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=call)
thread.start()
assert begun.wait(30)
# It is called before what s3po has registered.
os.register_at_fork(before=go_on.set)
child = os.fork()
if not child:
    call()
    os._exit(7)
thread.join()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""

CALLS = {
    "batch": ("s3po.batch.scheduler", "conn.batch()"),
    "signer": ("botocore.auth", 'conn.presign("GET", "bucket", "key")'),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")
@pytest.mark.parametrize("call", CALLS)
def test_a_child_of_a_fork_amid_an_import_can_call_it_too(call: str) -> None:
    module, code = CALLS[call]
    script = SCRIPT.replace("MODULE", module).replace("CALL", code)
    # Python 3.12 warns of forks with threads.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
