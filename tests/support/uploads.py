"""Three ways to the same multipart upload of two parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import s3po

PART = 5 * 1024 * 1024
LARGE = bytes(PART + 1)


def write(conn: s3po.Connection) -> Any:
    with conn.open("bucket", "key", "wb") as writer:
        writer.write(LARGE)
    return writer.result


CALLS: dict[str, Callable[[s3po.Connection], Any]] = {
    "upload": lambda conn: conn.upload("bucket", "key", LARGE),
    "a stream": lambda conn: conn.upload("bucket", "key", iter([LARGE])),
    "a writer": write,
}
