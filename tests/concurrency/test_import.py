"""Importing is quiet: it patches nothing, opens nothing, starts nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import socket, ssl, threading, time, select, os, subprocess, _thread
before = {
    (module, name): getattr(module, name)
    for module in (socket, ssl, threading, time, select, os, subprocess, _thread)
    for name in dir(module)
}
events = []

def audit(event, args):
    if event.startswith("socket."):
        # urllib3 looks at import whether there is IPv6.
        if event != "socket.__new__" and args[1:] != (("::1", 0),):
            events.append((event, args))
    elif event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
        events.append((event, args))
    elif event in ("subprocess.Popen", "os.fork", "_thread.start_new_thread"):
        events.append((event, args))

sys.dont_write_bytecode = True
sys.addaudithook(audit)
for name in sys.argv[1].split():
    module = __import__(name, fromlist=["*"])
    for exported in getattr(module, "__all__", ()):
        getattr(module, exported)
assert not events, events
changed = [key for key, value in before.items() if getattr(*key) is not value]
assert not changed, changed
assert threading.active_count() == 1
from gevent.monkey import saved
assert not saved, saved
"""


@pytest.mark.parametrize("names", ["s3po", "s3po.transport", "s3po s3po.transport.wsgi"])
def test_import_is_quiet(names):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, names],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
