"""A fresh environment, slimmed: s3po still does all that it does, and pip still knows its way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: As it was before tests cleaned it: the proxy and the cache of whoever runs them are pip's.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name[:4] != "AWS_"}

#: What the README promises of site-packages, without pip.
MOST = 26_000_000

ROUND_TRIP = """
import sys, urllib.request
import s3po

assert s3po.__file__.startswith(sys.prefix), s3po.__file__
config = s3po.Config(part_size=5 * s3po.MiB, multipart_threshold=6 * s3po.MiB)
conn = s3po.Connection("key-id", "secret", region_name="eu-central-1", config=config)
large = bytes(range(256)) * 4096 * 12
with conn.mock(serve=True) as mock:
    conn.conn.create_bucket("bucket")
    conn.upload("bucket", "small", "howdy")
    assert conn.download("bucket", "small", encoding="utf-8") == "howdy"
    conn.upload("bucket", "a/large", large)
    assert mock.requests.count("UploadPart") == 3
    assert conn.download("bucket", "a/large") == large
    url = conn.presign("GET", "bucket", "small")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as answer:
        assert answer.read() == b"howdy"
    assert "botocore.auth" in sys.modules, "it signs what is presigned"
    with conn.batch(5) as batch:
        for number in range(20):
            batch.upload("bucket", f"b/{number}", b"x")
    assert sum(1 for _ in conn.list("bucket", "b/")) == 20
    conn.delete_many("bucket", [info.key for info in conn.list("bucket")])
    assert not [*conn.list("bucket")]
    try:
        conn.download("bucket", "small")
    except s3po.NoSuchKey:
        pass
    else:
        raise AssertionError("it was deleted")
conn.close()
"""

#: pip's words when there is no index.
UNREACHABLE = ("(from versions: none)", "NewConnectionError", "Max retries exceeded", "timed out")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=cwd,
        env=ENVIRONMENT,
    )


def pip(python: Path, *arguments: str | Path, cwd: Path) -> None:
    """This pip for that Python, which has none of its own to be weighed."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    done = run(*command, "--python", python, *arguments, cwd=cwd)
    if "No module named pip" in done.stderr:
        pytest.skip("this Python has no pip")
    if done.returncode and any(words in done.stderr for words in UNREACHABLE):
        pytest.skip("pip reaches no package index from here")
    assert done.returncode == 0, done.stderr


def weight(folder: Path) -> int:
    """Bytes on disk, folders too."""
    return sum(each.lstat().st_blocks * 512 for each in [folder, *folder.rglob("*")])


@pytest.mark.exhaustive
def test_a_slim_environment_does_all_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A build leaves things behind, here not in the checkout.
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "s3po", source / "s3po", ignore=shutil.ignore_patterns("__pycache__"))

    assert run(sys.executable, "-m", "venv", "--without-pip", "env", cwd=tmp_path).returncode == 0
    python = tmp_path / "env/bin/python"
    pip(python, "install", "--retries", "1", source, cwd=tmp_path)
    done = run(
        python, "-Ic", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path
    )
    site = Path(done.stdout.strip())
    before = weight(site)

    shown = run(python, "-Im", "s3po.slim", cwd=tmp_path)
    assert (shown.returncode, weight(site)) == (0, before), shown.stderr
    applied = run(python, "-Im", "s3po.slim", "--apply", cwd=tmp_path)
    assert applied.returncode == 0, applied.stderr
    after = weight(site)
    with capsys.disabled():
        print(f"\nslim install: {before / 1e6:.1f} MB -> {after / 1e6:.1f} MB")
    assert after <= MOST

    done = run(python, "-IWerror", "-c", ROUND_TRIP, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    pip(python, "check", cwd=tmp_path)
    pip(python, "uninstall", "--yes", "botocore", "gevent", "s3po", cwd=tmp_path)
    left = {each.name for each in site.iterdir() if "byte" not in each.name}
    assert not left & {"botocore", "gevent", "s3po"}, left
