"""The parts that commands share: the connection, the output, counts and failures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from s3po.cli.errors import UsageError
from s3po.cli.table import GLOBAL_OPTIONS

if TYPE_CHECKING:
    from s3po.connection import Connection

#: Seconds between two updates of a bar, and two lines where stderr is no terminal.
_BAR_SECONDS = 0.1
_LINE_SECONDS = 10.0


class Context:
    """One command that runs."""

    def __init__(
        self,
        command: str,
        given: argparse.Namespace,
        *,
        connections: dict[tuple[object, ...], Connection] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`connections` are kept between the commands of one `run`."""
        self.command = command
        self.given = given
        self.json: bool = given.json
        self.failures = 0
        self.objects = 0
        self.bytes = 0
        self.interrupted = False
        self._clock = clock
        self._began = clock()
        self._connection: Connection | None = None
        self._progress: Progress | None = None
        #: Lines that wait, where several processes write to the same file.
        self._lines: list[str] | None = None
        self._more = {"requests": 0, "retries": 0}
        self._shared = connections

    # The connection

    @property
    def connection(self) -> Connection:
        """Made when it is first used. Raises UsageError for settings that cannot be right."""
        if self._connection is None:
            if self._shared is None:
                self._connection = self._connect()
            else:
                settings = tuple(
                    getattr(self.given, each.name) for each in GLOBAL_OPTIONS if each.name != "help"
                )
                if settings not in self._shared:
                    self._shared[settings] = self._connect()
                self._connection = self._shared[settings]
        return self._connection

    def _connect(self) -> Connection:
        from s3po.config import Config
        from s3po.connection import Connection
        from s3po.errors import ConfigError

        given = self.given
        self._start_logging()
        settings: dict[str, Any] = {}
        if given.ca_bundle:
            settings["verify"] = given.ca_bundle
        if given.no_verify_ssl:
            settings["verify"] = False
            self.warn("certificates are not verified (--no-verify-ssl)")
        if given.proxy:
            settings["proxies"] = {"http": given.proxy, "https": given.proxy}
        if given.retries is not None:
            settings["max_attempts"] = given.retries + 1
        if given.connect_timeout is not None:
            settings["connect_timeout"] = given.connect_timeout
        if given.read_timeout is not None:
            settings["read_timeout"] = given.read_timeout
        try:
            return Connection(
                profile_name=given.profile,
                region_name=given.region,
                endpoint_url=given.endpoint_url,
                anonymous=given.anonymous,
                config=Config(**settings),
            )
        except ConfigError as error:
            raise UsageError(str(error)) from None

    def _start_logging(self) -> None:
        given = self.given
        level = given.log_level or ("debug" if given.debug else "info" if given.verbose else None)
        if level is not None:
            import logging

            logging.basicConfig(
                stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
            )
            logging.getLogger("s3po").setLevel(level.upper())

    # Output

    def result(self, text: str, **fields: Any) -> None:
        """One result: a line of text, or with --json an object."""
        if self.given.quiet:
            return
        self.line(json.dumps(fields, default=_encode) if self.json else text)

    def line(self, text: str) -> None:
        """A line on stdout. What is no text is written as the bytes that it was."""
        if self._lines is not None:
            self._lines.append(text)
            if len(self._lines) >= 20:
                self.flush()
            return
        try:
            sys.stdout.write(text + "\n")
        except UnicodeEncodeError:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")

    def write_whole_lines(self) -> None:
        """Write whole lines from now on, for other processes write to the same file."""
        sys.stdout.flush()
        self._lines = []

    def flush(self) -> None:
        """Write what waits."""
        if self._lines:
            data = "".join(f"{each}\n" for each in self._lines).encode("utf-8", "surrogateescape")
            self._lines = []
            import os

            view = memoryview(data)
            while view:
                view = view[os.write(sys.stdout.fileno(), view) :]

    def warn(self, text: str) -> None:
        """A line on stderr that is no failure."""
        self._error_line(json.dumps({"warning": text}) if self.json else f"s3po: {text}")

    def fail(
        self, operation: str, place: str, reason: str, *, count: bool = True, hint: str = ""
    ) -> None:
        """A line on stderr about what failed."""
        if count:
            self.failures += 1
        place = place if place.isprintable() else ascii(place)[1:-1]
        if self.json:
            text = json.dumps({"error": reason + hint, "operation": operation, "target": place})
        else:
            text = f"s3po: {operation} {place}: {reason}{hint}".replace(" : ", ": ")
        self._error_line(text)

    def fail_by(self, operation: str, place: str, error: BaseException) -> None:
        """A line on stderr about an exception."""
        self.fail(operation, place, describe(error), hint=self._hint(error))

    def fail_or_raise(self, error: Exception) -> None:
        """A line on stderr about an error of the store, of files or of arguments; others are raised."""
        from s3po.errors import BatchError, S3poError

        if isinstance(error, BatchError):
            for failure in error.failures:
                self.fail_by(self.command, "", failure.exception)
        elif isinstance(error, (S3poError, OSError)):
            self.fail_by(self.command, "", error)
        else:
            raise error

    def _hint(self, error: BaseException) -> str:
        from s3po.errors import NoSuchBucket, S3poError

        if not isinstance(error, NoSuchBucket) or not error.bucket:
            return ""
        from s3po.cli.parser import suggest

        try:
            return suggest(error.bucket, [each.name for each in self.connection.list_buckets()])
        except S3poError:
            return ""

    def _error_line(self, text: str) -> None:
        if self._progress is not None:
            self._progress.clear()
        sys.stderr.write(text + "\n")

    # Counts

    def count(self, size: int) -> None:
        """One object more is done."""
        self.objects += 1
        self.bytes += size
        if self._progress is not None:
            self._progress.update(self.objects, self.bytes)

    def start_progress(self) -> None:
        """Show progress on stderr from now on, unless --quiet, --no-progress or --json."""
        if not (self.given.quiet or self.given.no_progress or self.json):
            self._progress = Progress(self._clock)

    def seconds(self) -> float:
        return self._clock() - self._began

    def counts(self) -> dict[str, int]:
        """Counts of all that was done so far."""
        stats = self._connection.stats if self._connection is not None else None
        return {
            "objects": self.objects,
            "bytes": self.bytes,
            "requests": self._more["requests"] + (stats.requests if stats is not None else 0),
            "retries": self._more["retries"] + (stats.retries if stats is not None else 0),
            "failures": self.failures,
        }

    def add_counts(self, counts: dict[str, int]) -> None:
        """Add those of another process."""
        self.objects += counts["objects"]
        self.bytes += counts["bytes"]
        self.failures += counts["failures"]
        for name in self._more:
            self._more[name] += counts[name]

    def close(self) -> None:
        """Show the counts that are asked for, and close the connection."""
        self.flush()
        if self._progress is not None:
            self._progress.close(self.objects)
        if self.interrupted or self.given.stat:
            fields = {**self.counts(), "seconds": round(self.seconds(), 3)}
            text = ", ".join(f"{value} {name}" for name, value in fields.items())
            start = "interrupted: " if self.interrupted else ""
            sys.stderr.write((json.dumps(fields) if self.json else f"s3po: {start}{text}") + "\n")
        if self._connection is not None and self._shared is None:
            self._connection.close()


class Progress:
    """Objects, bytes and rate on stderr: a bar on a terminal (tqdm's where installed), else lines."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = self._last = clock()
        self._terminal = sys.stderr.isatty()
        self._shown = False
        self._bar: Any = None
        if self._terminal:
            try:
                from tqdm import tqdm
            except ImportError:
                pass
            else:
                self._bar = tqdm(unit=" objects", file=sys.stderr, leave=False)

    def update(self, objects: int, size: int) -> None:
        now = self._clock()
        if now - self._last < (_BAR_SECONDS if self._terminal else _LINE_SECONDS):
            return
        self._last = now
        rate = size / max(now - self._began, 0.001)
        if self._bar is not None:
            self._bar.n = objects
            self._bar.set_postfix_str(f"{format_size(size)}, {format_size(rate)}/s")
            return
        text = f"{objects} objects, {format_size(size)}, {format_size(rate)}/s"
        sys.stderr.write(f"\r\x1b[K{text}" if self._terminal else f"s3po: {text}\n")
        sys.stderr.flush()
        self._shown = self._terminal

    def clear(self) -> None:
        """Take the bar away before another line."""
        if self._bar is not None:
            self._bar.clear()
        elif self._shown:
            sys.stderr.write("\r\x1b[K")
            self._shown = False

    def close(self, objects: int) -> None:
        if self._bar is not None:
            self._bar.n = objects
            self._bar.close()
        self.clear()


def describe(error: BaseException) -> str:
    """The reason of a failure, in one line."""
    if isinstance(error, OSError) and error.strerror and not hasattr(error, "attempts"):
        name = error.filename
        return f"{error.strerror}: {name}" if isinstance(name, str) else error.strerror
    return " ".join((str(error) or type(error).__name__).split())


def format_size(size: float) -> str:
    """`1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"


def format_time(time: datetime | None) -> str:
    """`2026-01-31 10:20:30`, in UTC."""
    return " " * 19 if time is None else str(time)[:19]


def _encode(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
