"""File systems that are really full: a tmpfs of a few MiB in a mount namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MiB = 1024 * 1024


def namespace() -> list[str]:
    """A command whose process may mount file systems, which are gone when it ends; empty if there is none."""
    if shutil.which("unshare") is None:
        return []
    for options in (["-m"], ["-U", "-r", "-m"]):
        command = ["unshare", *options]
        probe = [*command, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
        try:
            if subprocess.run(probe, capture_output=True, timeout=20, check=False).returncode == 0:
                return command
        except OSError:
            pass
    return []


SETUP = """
import logging, os, subprocess, sys
from pathlib import Path
import s3po
from tests.support.data import noise
MiB = 1024 * 1024
full = sys.argv[1]

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", full], check=True)

def fill():
    with open(f"{full}/fill", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def names():
    return sorted(os.listdir(full))

def fails(call):
    try:
        call()
    except OSError as error:
        assert "No space left on device" in str(error), error
        return " ".join(getattr(error, "__notes__", ()))
    raise AssertionError("no error")

mount("size=6m")
config = s3po.Config(
    part_size=5 * MiB, multipart_threshold=5 * MiB, retry_base=0.001, state_dir=f"{full}/state",
    # Of parallel parts, none might be whole when the disk is full.
    max_concurrency=1,
)
conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
mock = conn.mock(serve=True)
mock.start()
conn.create_bucket("bucket")
LARGE = noise(12 * MiB)
conn.upload("bucket", "large", LARGE)
conn.upload("bucket", "small", b"1" * 5000)
"""

DOWNLOADS = """
target = f"{full}/file"
# What was there is kept.
Path(target).write_text("before")
assert fails(lambda: conn.download_file("bucket", "large", target)) == ""
assert fails(lambda: conn.download("bucket", "large", Path(target))) == ""
assert (names(), Path(target).read_text()) == (["file"], "before")
fill()
assert fails(lambda: conn.download_file("bucket", "small", target)) == ""
assert fails(lambda: conn.download_file("bucket", "small", target, resume=True)) == ""
assert (names(), Path(target).read_text()) == (["file", "fill"], "before")
os.unlink(f"{full}/fill")
with conn.batch(4, raise_errors=False) as batch:
    handles = [batch.download_file("bucket", "large", f"{full}/{n}") for n in range(3)]
assert {each.exception.errno for each in handles} == {28}
assert names() == ["file"]
"""

RESUMED = """
target = f"{full}/file"
for _ in range(2):
    note = fails(lambda: conn.download_file("bucket", "large", target, resume=True))
    assert "1 parts are kept" in note, note
    assert names() == [".file.s3po-part"]
mount("remount,size=20m")
mock.requests.clear()
conn.download_file("bucket", "large", target, resume=True)
assert names() == ["file"]
assert Path(target).read_bytes() == LARGE
# The part that was kept did not come again.
assert mock.requests.count("GetObject") == 2, mock.requests
"""

STATES = """
warned = []
class Handler(logging.Handler):
    def emit(self, record):
        warned.append(record.getMessage())
logging.getLogger("s3po").addHandler(Handler())
source = Path(sys.argv[2])
source.write_bytes(LARGE)
for made in False, True:
    if made:
        os.unlink(f"{full}/fill")
        os.makedirs(f"{full}/state", exist_ok=True)
    fill()
    conn.upload_file("bucket", f"up-{made}", source, resume=True)
    assert conn.download("bucket", f"up-{made}") == LARGE
assert len(warned) == 2 and all("its state cannot be stored: [Errno 28]" in each for each in warned)
assert os.listdir(f"{full}/state") == []
assert [each.name for each in source.parent.iterdir() if "s3po" in each.name] == []
assert not conn.conn.list_multipart_uploads("bucket").uploads
"""

PROGRAM = """
def run(*words):
    environment = {**os.environ, "AWS_ENDPOINT_URL": mock.url, "AWS_REGION": "us-east-1",
                   "AWS_ACCESS_KEY_ID": "access", "AWS_SECRET_ACCESS_KEY": "secret"}
    done = subprocess.run([sys.executable, "-m", "s3po", *words], env=environment, text=True,
                          capture_output=True, timeout=60)
    return done.returncode, done.stderr

code, said = run("cp", "s3://bucket/large", f"{full}/file")
assert code == 1 and said == (
    f"s3po: download s3://bucket/large: No space left on device: {full}/file\\n"), said
assert names() == []
for command in ["cp", "-r"], ["sync"]:
    code, said = run(*command, "s3://bucket", f"{full}/tree")
    lines = said.splitlines()
    assert code == 1 and lines and all("No space left on device" in line for line in lines), said
    # The rest is done, unless it came while the other one had all the space.
    assert os.listdir(f"{full}/tree") == (["small"] if len(lines) == 1 else []), said
"""


@pytest.mark.parametrize(
    "program", [DOWNLOADS, RESUMED, STATES, PROGRAM], ids=["down", "resume", "state", "program"]
)
def test_a_full_file_system(tmp_path: Path, program: str) -> None:
    command = namespace()
    if not command:
        pytest.skip("needs unshare(1), and the permission to mount a tmpfs")
    folder = tmp_path / "full"
    folder.mkdir()
    script = SETUP + program + "\nconn.close()\nos._exit(0)\n"
    done = subprocess.run(
        [*command, sys.executable, "-c", script, str(folder), str(tmp_path / "source")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(folder.iterdir()) == []
