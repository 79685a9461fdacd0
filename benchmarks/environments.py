"""Environments of the benchmark: one for each client, in `.venv-bench/`, made once and kept.

One for each, because boto3 and s3fs cannot both be the newest where they share botocore; and so the size of
an environment is the client's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv-bench"

#: Client -> packages whose versions are told, the first being what is installed.
PACKAGES = {
    "s3po": ("s3po", "requests", "urllib3", "gevent", "botocore"),
    "boto3": ("boto3", "botocore", "s3transfer", "urllib3"),
    "minio": ("minio", "urllib3"),
    "s3fs": ("s3fs", "aiobotocore", "aiohttp"),
    "obstore": ("obstore",),
    "opendal": ("opendal",),
    "pyarrow": ("pyarrow",),
}
#: Came with the environment, not with the client.
_NOT_COUNTED = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")


def clean_environment() -> dict[str, str]:
    """Our environment without what would give a client other credentials, proxies, CAs or settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PYTHON", "ARROW_", "MINIO_", "RCLONE_", "SSL_CERT_"))
        and not name.lower().endswith("_proxy")
        and name not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "VIRTUAL_ENV")
    }


def python(client: str) -> Path:
    return HOME / client / "bin" / "python"


def prepare(client: str, fresh: bool = False) -> None:
    """Make the client's environment, or bring the s3po in it up to date with this checkout."""
    if client in ("s3po", "s3po-slim"):
        _prepare_s3po(client, fresh)
        return
    stamp = HOME / client / ".stamp"
    if stamp.exists() and not fresh:
        return
    print(f"making an environment for {client} ...", flush=True)
    _make(client)
    _pip(client, PACKAGES[client][0])
    stamp.touch()


def _prepare_s3po(client: str, fresh: bool) -> None:
    stamp = HOME / client / ".stamp"
    state = _state()
    old = stamp.read_text() if stamp.exists() and not fresh else None
    if old == state:
        return
    print(f"installing s3po of this checkout ({client}) ...", flush=True)
    # What was slimmed, or has other dependencies, is made from nothing.
    whole = old is None or client == "s3po-slim" or old.split()[0] != state.split()[0]
    if whole:
        _make(client)
    # Built from a copy: a build/ directory in the checkout would bring back modules that are gone.
    with tempfile.TemporaryDirectory(prefix="s3po-bench-") as place:
        copy = Path(place) / "s3po"
        copy.mkdir()
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy)
        shutil.copytree(ROOT / "s3po", copy / "s3po", ignore=shutil.ignore_patterns("__pycache__"))
        _pip(client, str(copy), *([] if whole else ["--force-reinstall", "--no-deps"]))
    stamp.write_text(state)


def _state() -> str:
    """Hashes of what s3po is installed from: its metadata, its code."""
    metadata = hashlib.sha256((ROOT / "setup.py").read_bytes()).hexdigest()
    code = hashlib.sha256()
    for path in sorted((ROOT / "s3po").rglob("*.py")):
        code.update(str(path).encode() + b"\0" + path.read_bytes())
    return f"{metadata} {code.hexdigest()}"


def _make(client: str) -> None:
    HOME.mkdir(exist_ok=True)
    subprocess.run([ROOT / ".ci" / "venv", HOME / client, sys.executable], check=True)


def _pip(client: str, *arguments: str) -> None:
    command = [python(client), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    result = subprocess.run([*command, *arguments], capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{client} could not be installed:\n{result.stderr}")


def versions(client: str) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json, sys;"
        "print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))"
    )
    found = subprocess.check_output([python(client), "-c", code, *PACKAGES[client]], text=True)
    result: dict[str, str] = json.loads(found)
    return result


def size(client: str) -> int:
    """Bytes on disk, as `du` counts them, of the client and all that it needs, byte code included."""
    (packages,) = (HOME / client / "lib").glob("python*/site-packages")
    total = 0
    for top in packages.iterdir():
        if top.name.split("-")[0] in _NOT_COUNTED or top.name in _NOT_COUNTED:
            continue
        for path in (top, *top.rglob("*")):
            total += path.lstat().st_blocks * 512
    return total


def slim() -> str:
    """Make `s3po-slim`, as README says; returns why not where it cannot be."""
    prepare("s3po-slim")
    command = [python("s3po-slim"), "-m", "s3po.slim", "--apply"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if result.returncode:
        return (result.stderr.strip().splitlines() or ["s3po.slim failed"])[-1]
    return ""
