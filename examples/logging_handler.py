"""A handler of `logging` whose records become objects: one for every so many lines, or seconds.

A thread writes them, so that whoever logs does not wait for the store; the names sort by time.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
from datetime import UTC, datetime

import s3po


class S3Handler(logging.Handler):
    """Stores records as lines of text below `prefix`, at most `lines` in an object."""

    def __init__(
        self,
        conn: s3po.Connection,
        bucket: str,
        prefix: str,
        *,
        lines: int = 1000,
        seconds: float = 60.0,
    ) -> None:
        super().__init__()
        self._conn = conn
        self._bucket = bucket
        self._prefix = prefix
        self._lines = lines
        self._seconds = seconds
        # Records beyond it are dropped: a store that is away must not fill the memory.
        self._queue: queue.Queue[str | None] = queue.Queue(100_000)
        self.dropped = 0
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="s3-logging", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        # The records of the client itself would make further ones.
        if record.name.partition(".")[0] == "s3po":
            return
        try:
            self._queue.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1
        except Exception:
            self.handleError(record)

    def _run(self) -> None:
        ended = False
        while not ended:
            lines: list[str] = []
            first = self._queue.get()
            ended = first is None
            if first is not None:
                lines.append(first)
            while not ended and len(lines) < self._lines:
                try:
                    line = self._queue.get(timeout=self._seconds)
                except queue.Empty:
                    break
                ended = line is None
                if line is not None:
                    lines.append(line)
            if lines:
                self._store(lines)

    def _store(self, lines: list[str]) -> None:
        self._number += 1
        now = datetime.now(UTC)
        name = f"{now:%Y/%m/%d/%H%M%S}-{socket.gethostname()}-{os.getpid()}-{self._number}.log"
        try:
            self._conn.upload(
                self._bucket,
                f"{self._prefix}/{name}",
                "\n".join(lines) + "\n",
                content_type="text/plain; charset=utf-8",
            )
        except s3po.S3poError:
            self.dropped += len(lines)

    def close(self) -> None:
        """Store what is left; `logging.shutdown` calls it at the end of the program."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        super().close()


def main() -> None:
    bucket = os.environ["EXAMPLE_BUCKET"]
    conn = s3po.Connection()
    handler = S3Handler(conn, bucket, "logs", lines=100)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("example")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    for number in range(250):
        logger.info("line %d", number)
    handler.close()
    keys = [info.key for info in conn.list(bucket, "logs/")]
    assert len(keys) == 3, keys
    lines = [
        line for key in keys for line in conn.download(bucket, key, encoding="utf-8").splitlines()
    ]
    assert sorted(lines) == sorted(f"INFO line {number}" for number in range(250))
    assert handler.dropped == 0


if __name__ == "__main__":
    main()
