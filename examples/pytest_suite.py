"""pytest: code that uses S3 is tested on s3po's fixtures, without a network and without an account.

The plugin comes with s3po. `s3po_mock_all` leads every Connection that the tested code makes to a mock.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

import s3po


def rename_all(bucket: str, old: str, new: str) -> int:
    """The code that is to be tested."""
    conn = s3po.Connection()
    with conn.batch() as batch:
        for info in conn.list(bucket, old):
            batch.move(bucket, new + info.key[len(old) :], source_key=info.key)
    return batch.stats.done


@pytest.fixture
def bucket(s3po_mock_all: Any) -> str:
    s3po_mock_all.conn.create_bucket("photos")
    for number in range(3):
        s3po_mock_all.upload("photos", f"old/{number}", b"x")
    return "photos"


def test_all_are_renamed(bucket: str) -> None:
    assert rename_all(bucket, "old/", "new/") == 3
    conn = s3po.Connection()
    assert [info.key for info in conn.list(bucket)] == ["new/0", "new/1", "new/2"]


def test_trouble_of_the_store_is_told(bucket: str, s3po_mock_all: Any) -> None:
    s3po_mock_all.mock.faults.add("CopyObject", key="new/1", action="403 AccessDenied")
    with pytest.raises(s3po.BatchError, match="1 of 3 calls failed"):
        rename_all(bucket, "old/", "new/")
    s3po_mock_all.mock.faults.assert_all_used()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider"]))
