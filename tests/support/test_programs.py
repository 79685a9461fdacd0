"""Programs of tests begin and end as others do, and their failures are told."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.programs import Programs

ENDS = {
    "well": ("import atexit; atexit.register(print, 'at exit'); print('howdy')", 0),
    "by an error": ("raise LookupError", 1),
    "by exit": ("import sys; sys.exit(7)", 7),
    "by a signal": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
}


@pytest.mark.parametrize("host", ["unpatched", "patched"])
@pytest.mark.parametrize("way", ENDS)
def test_a_program_ends(way: str, host: str, programs: Programs) -> None:
    script, code = ENDS[way]
    done = programs.run(host, script)
    assert done.returncode == code
    assert done.stdout == ("howdy\nat exit\n" if way == "well" else "")
    assert (done.stderr.splitlines() or [""])[-1] == ("LookupError" if way == "by an error" else "")


def test_a_program_is_one_of_its_own(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOWDY", "there")
    script = "import os, sys; print(sys.argv[1:], os.environ['HOWDY'], __name__); leftover = 1"
    for _ in range(2):
        assert (
            programs.run("unpatched", script, "a b", "ü").stdout == "['a b', 'ü'] there __main__\n"
        )
    assert "NameError" in programs.run("unpatched", "leftover").stderr


def test_warnings_are_errors(programs: Programs) -> None:
    done = programs.run("unpatched", "open('/dev/null')\nimport gc; gc.collect()")
    assert "ResourceWarning" in done.stderr


def test_a_program_that_does_not_end_is_killed(programs: Programs) -> None:
    script = "import sys, time; print('howdy', flush=True); time.sleep(60)"
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        programs.run("unpatched", script, timeout=0.5)
    assert caught.value.stdout == b"howdy\n"
    assert programs.run("unpatched", "print('the next')").stdout == "the next\n"
