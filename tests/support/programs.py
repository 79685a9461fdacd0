"""Programs that tests write: children of a Python that has imported s3po before, so that each begins in milliseconds."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

# Warnings are errors, those of unclosed files too.
_OPTIONS = ("-X", "dev", "-W", "error")

# It forks when it has imported all, and has used nothing of it. Each child goes on behind the loop: its script runs at the
# level of the module, and it ends as interpreters end.
_PARENT = """
import sys
if sys.argv[1] == "patched":
    from gevent import monkey
    monkey.patch_all()
import gc, json, os
import gevent
from gevent.monkey import get_original
import s3po
import s3po.batch
import s3po.sigv4.auth
s3po.Connection

def next_program():
    fork, waitpid = get_original("os", "fork"), get_original("os", "waitpid")
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    gc.collect()
    gc.freeze()
    while line := requests.readline():
        program = json.loads(line)
        child = fork()
        if not child:
            requests.close()
            answers.close()
            gevent.reinit()
            for number, path in ((1, program["stdout"]), (2, program["stderr"])):
                file = os.open(path, os.O_WRONLY | os.O_APPEND)
                os.dup2(file, number)
                os.close(file)
            os.chdir(program["folder"])
            os.environ.clear()
            os.environ.update(program["environment"])
            sys.argv[1:] = program["arguments"]
            return program["script"]
        answers.write(b"%d\\n" % child)
        answers.flush()
        answers.write(b"%d\\n" % waitpid(child, 0)[1])
        answers.flush()
    os._exit(0)

program = compile(next_program(), "<string>", "exec")
del next_program, json
exec(program)
"""


class Programs:
    """Runs programs in processes of their own, with s3po imported; at most one at a time.

    A test of imports, of options of the interpreter, or of anything else that is decided when it begins, starts
    `sys.executable` itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parents: dict[str, subprocess.Popen[bytes]] = {}

    def run(
        self, host: str, script: str, *arguments: str, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a script to its end, in an "unpatched" or a "patched" (by gevent) interpreter.

        Raises:
            subprocess.TimeoutExpired: It took longer than `timeout` seconds, and was killed.
        """
        outputs = [self._folder / name for name in ("stdout", "stderr")]
        for path in outputs:
            path.write_bytes(b"")
        program = {
            "script": script,
            "arguments": arguments,
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "stdout": str(outputs[0]),
            "stderr": str(outputs[1]),
        }
        parent = self._parent(host)
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(json.dumps(program).encode() + b"\n")
        parent.stdin.flush()
        child = int(_line(parent.stdout, 60.0))
        try:
            status = int(_line(parent.stdout, timeout))
        except TimeoutError:
            os.kill(child, signal.SIGKILL)
            _line(parent.stdout, 60.0)
            output, errors = (path.read_bytes() for path in outputs)
            raise subprocess.TimeoutExpired(script, timeout, output, errors) from None
        stdout, stderr = (path.read_text() for path in outputs)
        return subprocess.CompletedProcess(
            [host, *arguments], os.waitstatus_to_exitcode(status), stdout, stderr
        )

    def _parent(self, host: str) -> subprocess.Popen[bytes]:
        if host not in self._parents:
            self._parents[host] = subprocess.Popen(
                [sys.executable, *_OPTIONS, "-c", _PARENT, host],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
        return self._parents[host]

    def close(self) -> None:
        """End the processes that wait for programs."""
        for parent in self._parents.values():
            # It ends when no more programs can come.
            with parent:
                pass


def _line(file: IO[bytes], seconds: float) -> bytes:
    """A line that is written at once, of an unbuffered pipe."""
    ready, _, _ = select.select([file], [], [], seconds)
    if not ready:
        raise TimeoutError
    line = file.readline()
    assert line, "the process that waits for programs is gone"
    return line
