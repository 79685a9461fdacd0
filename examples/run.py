"""Runs the recipes of this folder against a served mock: `make examples`.

Each is a program of its own, in a process of its own, with AWS_* variables that lead to the mock. One whose
framework is not installed is skipped, and says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import s3po
from s3po.mock import MockS3

HERE = Path(__file__).parent
#: Recipe -> the packages that it needs.
RECIPES: dict[str, tuple[str, ...]] = {
    "airflow_task": (),
    "celery_task": ("celery",),
    "django_storage": ("django",),
    "fastapi_streaming": ("fastapi", "httpx"),
    "flask_streaming": ("flask",),
    "lambda_handler": (),
    "logging_handler": (),
    "prometheus_metrics": ("prometheus_client",),
    "opentelemetry_traces": ("opentelemetry.instrumentation.requests", "opentelemetry.sdk"),
    "pytest_suite": ("pytest",),
    "static_site": (),
}
BUCKET = "examples"


def missing(packages: tuple[str, ...]) -> list[str]:
    found = []
    for name in packages:
        try:
            there = find_spec(name) is not None
        except ModuleNotFoundError:
            there = False
        if not there:
            found.append(name)
    return found


def main(names: list[str]) -> int:
    failed = []
    with MockS3({"example-key": "example-secret"}).serve() as server:
        environment = {
            **{name: value for name, value in os.environ.items() if name[:4] != "AWS_"},
            "AWS_ACCESS_KEY_ID": "example-key",
            "AWS_SECRET_ACCESS_KEY": "example-secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": server.url,
            "EXAMPLE_BUCKET": BUCKET,
        }
        conn = s3po.Connection("example-key", "example-secret", endpoint_url=server.url)
        conn.conn.create_bucket(BUCKET)
        for name in names or RECIPES:
            lacking = missing(RECIPES[name])
            if lacking:
                print(f"{name}: skipped, needs {', '.join(lacking)}")
                continue
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, str(HERE / f"{name}.py")],
                env=environment,
                check=False,
                timeout=300,
            )
            outcome = "ok" if done.returncode == 0 else f"FAILED ({done.returncode})"
            print(f"{name}: {outcome}, {time.monotonic() - began:.1f} s", flush=True)
            if done.returncode:
                failed.append(name)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
