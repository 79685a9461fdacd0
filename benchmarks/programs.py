"""Clients that are programs, not libraries: rclone and s3cmd, where Debian has put them.

Their CPU is the whole process's, start included.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from environments import clean_environment

KEY_ID, SECRET, REGION, BUCKET = "benchmark", "benchmark-secret", "us-east-1", "bucket"
MiB = 1024 * 1024


def missing(client: str) -> str:
    if shutil.which(client):
        return ""
    return f"{client} is not installed, its rows are left out (sudo apt-get install -y {client})"


def version(client: str) -> str:
    found = subprocess.run([client, "--version"], capture_output=True, text=True, timeout=30)
    return found.stdout.split("\n")[0].removeprefix(client).removeprefix(" version").strip(" v")


def _command(
    client: str, work: str, url: str, ca: str, key: str, path: str, part: int
) -> tuple[list[str], dict[str, str]]:
    host = url.partition("://")[2]
    environment = clean_environment()
    if client == "rclone":
        environment |= {
            "RCLONE_CONFIG": "",
            "RCLONE_CONFIG_STORE_TYPE": "s3",
            "RCLONE_CONFIG_STORE_PROVIDER": "Other",
            "RCLONE_CONFIG_STORE_ACCESS_KEY_ID": KEY_ID,
            "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY": SECRET,
            "RCLONE_CONFIG_STORE_REGION": REGION,
            "RCLONE_CONFIG_STORE_ENDPOINT": url,
            "RCLONE_CONFIG_STORE_FORCE_PATH_STYLE": "true",
        }
        options = ["--s3-no-check-bucket", "--s3-no-head", "--ignore-times", "--ignore-checksum"]
        options += ["--s3-disable-checksum", "--retries", "1", "--quiet"]
        options += ["--ca-cert", ca] if ca else []
        remote = f"store:{BUCKET}/{key}"
        if work == "get_file":
            return ["rclone", "copyto", remote, path, *options], environment
        size = f"{part or 5 * 1024 * MiB}B"
        options += ["--s3-upload-cutoff", size if not part else "8M", "--s3-upload-concurrency=4"]
        options += ["--s3-chunk-size", size] if part else []
        return ["rclone", "copyto", path, remote, *options], environment
    options = [f"--access_key={KEY_ID}", f"--secret_key={SECRET}", f"--region={REGION}", "--quiet"]
    options += [f"--host={host}", f"--host-bucket={host}", "--config=/dev/null"]
    options += ["--ssl", f"--ca-certs={ca}"] if ca else ["--no-ssl"]
    remote = f"s3://{BUCKET}/{key}"
    if work == "get_file":
        return ["s3cmd", "get", "--force", remote, path, *options], environment
    options += [f"--multipart-chunk-size-mb={part // MiB}"] if part else ["--disable-multipart"]
    return ["s3cmd", "put", path, remote, *options], environment


def run(
    client: str, work: str, *, url: str, ca: str, key: str, path: str, size: int, part: int
) -> dict[str, float]:
    """One transfer; like the other clients' programs it returns seconds and bytes."""
    command, environment = _command(client, work, url, ca, key, path, part)
    with open(os.devnull, "rb") as nothing:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=nothing,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
        )
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{client}: {errors.decode(errors='replace').strip()[-300:]}")
    if work == "get_file":
        found = Path(path)
        if found.stat().st_size != size:
            raise RuntimeError(f"{client} wrote {found.stat().st_size} bytes")
        found.unlink()
    return {
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": wall,
        "rss": usage.ru_maxrss * 1024,
    }
