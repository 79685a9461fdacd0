"""Programs that may open few files."""

from __future__ import annotations

import subprocess
import sys

import pytest

import s3po

PROGRAM = """
import resource, sys
import s3po
conn = s3po.Connection(
    "access", "secret", endpoint_url=sys.argv[1], region_name="us-east-1",
    config=s3po.Config(addressing_style="path", max_attempts=1, connect_patience=0),
)
conn.exists("bucket", "key")
if sys.argv[2] == "few":
    resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
    with conn.batch(50) as batch:
        for number in range(500):
            batch.upload("bucket", f"key-{number}", b"%d" % number)
    with conn.batch(50) as batch:
        for number in range(500):
            batch.download("bucket", f"key-{number}")
    print("all")
else:
    conn.close()
    opened = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
    try:
        while True:
            opened.append(open("/dev/null"))
    except OSError:
        pass
    try:
        conn.upload("bucket", "key", b"hello")
    except s3po.ConnectionFailed as error:
        print(error)
"""


@pytest.mark.parametrize(("kind", "expected"), [("few", "all"), ("none", "no more than 30 files")])
def test_few_descriptors_suffice_and_none_is_told_of(kind, expected):
    resource = pytest.importorskip("resource")
    del resource
    conn = s3po.Connection("access", "secret", region_name="us-east-1")
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, mock.url, kind],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == ""
    assert expected in done.stdout
