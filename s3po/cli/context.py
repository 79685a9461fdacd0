"""The parts that commands share: the connection, the output, counts and failures."""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO

from s3po.cli.errors import CLOSED, UsageError, write_error

if TYPE_CHECKING:
    from s3po.batch import Batch
    from s3po.cli.frames import Reporter
    from s3po.cli.logs import LogLines, WarningLines
    from s3po.connection import Connection

#: Seconds between two updates of a bar, and two lines where stderr is no terminal.
_BAR_SECONDS = 0.1
_LINE_SECONDS = 10.0
#: Columns of a line of progress at most, and those that leave no space for a bar.
_WIDEST, _NARROW = 300, 40
#: Of a terminal, for tqdm: enough for one bar.
_ROWS = 24

#: Requests at once of all lines of a `run`, and of each at least.
_LINES_REQUESTS = 200
_LINE_REQUESTS = 4

#: Options upon which a connection depends.
_SETTINGS = (
    "endpoint_url",
    "region",
    "profile",
    "anonymous",
    "ca_bundle",
    "no_verify_ssl",
    "proxy",
    "retries",
    "connect_timeout",
    "read_timeout",
    "log_level",
    "verbose",
    "debug",
    "part_size",
)


class Context:
    """One command that runs."""

    def __init__(
        self,
        command: str,
        given: argparse.Namespace,
        *,
        connections: dict[tuple[object, ...], Connection] | None = None,
        parent: Context | None = None,
        line: int | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`connections` are shared by the commands of one `run`, whose context is `parent`.

        `line` is the number of its line there.
        """
        self.command = command
        self.given = given
        self.json: bool = given.json
        #: True where each result is lines of text.
        self.plain: bool = not (given.json or given.quiet)
        self._failures = 0
        self.objects = 0
        self.bytes = 0
        self.interrupted = False
        self._logs: LogLines | WarningLines | None = None
        self._clock = clock
        self._began = clock()
        self._connection: Connection | None = None
        self._progress: Progress | Reporter | None = None
        #: The known part of the total, until `all_known`.
        self.expected_objects = 0
        self.expected_bytes = 0
        self.all_known = False
        #: Bytes of transfers that are in progress.
        self.moving = 0
        #: The last counts of other processes, and of lines of `run`.
        self._others: dict[int, dict[str, int]] = {}
        self._parent = parent
        self._line = line
        self._told_unverified = False
        #: Hints by the names of missing buckets.
        self._hints: dict[str, str] = {} if parent is None else parent._hints
        #: Of `run`.
        self.lines_under_way = 0
        #: Other processes that work for this.
        self.processes: list[int] = []
        #: Those of the lines of `run`, of which this is a line or which this is.
        self._shared = connections

    # The connection

    def share_connections(self, connections: dict[tuple[object, ...], Connection]) -> None:
        """Count the requests of these, which the lines of `run` use."""
        self._shared = connections
        self._show_warnings()

    @property
    def connection(self) -> Connection:
        """Made when it is first used. Raises UsageError for settings that cannot be right."""
        if self._connection is None:
            if self._shared is None:
                self._connection = self._connect()
            else:
                settings = tuple(getattr(self.given, name, None) for name in _SETTINGS)
                if settings not in self._shared:
                    made = self._connect()
                    # Another line may have made it meanwhile.
                    if self._shared.setdefault(settings, made) is not made:
                        made.close()
                self._connection = self._shared[settings]
        return self._connection

    def _connect(self) -> Connection:
        from s3po.config import Config
        from s3po.connection import Connection
        from s3po.errors import ConfigError

        given = self.given
        self._show_warnings()
        settings: dict[str, Any] = {}
        if given.ca_bundle:
            if not os.path.exists(given.ca_bundle):
                raise UsageError(f"--ca-bundle: there is no file {given.ca_bundle}")
            settings["verify"] = given.ca_bundle
        if given.no_verify_ssl:
            settings["verify"] = False
            self._warn_unverified()
        if given.proxy:
            settings["proxies"] = {"http": given.proxy, "https": given.proxy}
        if given.retries is not None:
            settings["max_attempts"] = given.retries + 1
            # That many, also of connects.
            settings["connect_patience"] = 0.0
        if given.connect_timeout is not None:
            settings["connect_timeout"] = given.connect_timeout
        if given.read_timeout is not None:
            settings["read_timeout"] = given.read_timeout
        if getattr(given, "part_size", None):
            # Of ranges that are downloaded; uploads get theirs with each call.
            settings["part_size"] = given.part_size
        keywords: dict[str, Any] = {
            "profile_name": given.profile,
            "region_name": given.region,
            "endpoint_url": given.endpoint_url,
            "anonymous": given.anonymous,
        }
        try:
            keywords["config"] = Config(**settings)
            connection = Connection(**keywords)
        except ConfigError as error:
            raise UsageError(str(error)) from None
        if getattr(given, "cluster", None) is None:
            return connection
        # Workers receive the arguments of the connection, so that they use the same store.
        endpoint = connection.client.endpoint
        keywords["region_name"] = endpoint.region
        if not endpoint.is_aws:
            keywords["endpoint_url"] = endpoint.url
        connection.close()
        return Connection(**keywords)

    def batch(self, poolsize: int) -> Batch:
        """A batch that raises no errors of its calls; on a cluster where --cluster names one.

        Raises UsageError for a number that cannot be right.
        """
        from s3po.errors import ConfigError

        cluster = getattr(self.given, "cluster", None)
        if self._parent is not None:
            # Lines that are performed at once share what is good for one store.
            most = _LINES_REQUESTS // max(1, self._parent.lines_under_way)
            poolsize = min(poolsize, max(_LINE_REQUESTS, most))
        try:
            return self.connection.batch(poolsize, raise_errors=False, cluster=cluster)
        except ConfigError as error:
            raise UsageError(str(error)) from None

    def check_cluster(self, *, within: bool) -> None:
        """Refuse a --cluster that cannot be used; `within` is True for work within a store."""
        if self.given.cluster is None:
            return
        from importlib.util import find_spec

        if not within:
            raise UsageError(
                "--cluster is for work within a store: its workers do not have these files"
            )
        if self.given.workers > 1:
            raise UsageError("--workers is for this machine, --cluster for others")
        if find_spec("distributed") is None:
            raise UsageError("--cluster needs dask.distributed: pip install s3po[dask]")

    def _warn_unverified(self) -> None:
        """Warn once in a process, whatever connections the lines of `run` make."""
        first = self if self._parent is None else self._parent
        if not first._told_unverified:
            first._told_unverified = True
            self.warn("certificates are not verified (--no-verify-ssl)")

    def start_logging(self) -> None:
        """Show log messages until `close`, if the options ask for any."""
        given = self.given
        level = given.log_level or ("debug" if given.debug else "info" if given.verbose else None)
        if level is not None:
            from s3po.cli.logs import LogLines

            self._logs = LogLines(level, self._error_line)

    def _show_warnings(self) -> None:
        """Show warnings until `close`, unless log messages are shown, or `run` does so."""
        if self._logs is None and self._parent is None:
            from s3po.cli.logs import WarningLines

            self._logs = WarningLines(self.warn)

    # Input and output

    def check_input(self) -> None:
        """Raise OSError if stdin was closed: that is not an empty file."""
        if "stdin" in CLOSED:
            raise OSError(errno.EBADF, "stdin is closed")

    def input(self) -> BinaryIO:
        """Bytes of stdin. Raises OSError if it was closed."""
        self.check_input()
        buffered = sys.stdin.buffer
        # It has not been read, and a thread that waits in it would hold its lock.
        return getattr(buffered, "raw", buffered)

    def output(self) -> BinaryIO:
        """Bytes to stdout. Raises OSError where it was closed: they would be lost."""
        if "stdout" in CLOSED:
            raise OSError(errno.EBADF, "stdout is closed")
        sys.stdout.flush()
        return sys.stdout.buffer

    def result(self, text: str, *more: str, **fields: Any) -> None:
        """One result: lines of text, or with --json an object."""
        if self.given.quiet:
            return
        if self.json:
            self.line(json.dumps(fields, default=_encode))
            return
        self.line(text)
        for each in more:
            self.line(each)

    def line(self, text: str) -> None:
        """A line on stdout: control characters of names are escaped, or they would command a terminal.

        What is no text is written as the bytes that it was.
        """
        if not text.isprintable():
            text = _CONTROL.sub(_escape, text)
        self.clear_for_output()
        try:
            sys.stdout.write(text + "\n")
        except UnicodeEncodeError:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")

    def lines(self, texts: list[str]) -> None:
        """Lines on stdout, written at once: where it is not buffered, each write is a system call."""
        text = "\n".join(texts)
        # The common case, in which lines need not be checked one by one.
        if text.count("\n") + 1 == len(texts) and text.replace("\n", "").isprintable():
            self.clear_for_output()
            try:
                sys.stdout.write(text + "\n")
            except UnicodeEncodeError:
                pass
            else:
                return
        for each in texts:
            self.line(each)

    def warn(self, text: str) -> None:
        """A line on stderr that is no failure."""
        self._error_line(json.dumps({"warning": text}) if self.json else f"s3po: {text}")

    def fail(
        self, operation: str, place: str, reason: str, *, count: bool = True, hint: str = ""
    ) -> None:
        """A line on stderr about what failed."""
        if count:
            self._failures += 1
        if self.json:
            fields: dict[str, Any] = {} if self._line is None else {"line": self._line}
            fields |= {"error": reason + hint, "operation": operation, "target": place}
            text = json.dumps(fields)
        else:
            line = "" if self._line is None else f"line {self._line}: "
            what = f"{operation} {place}" if place else operation
            text = f"s3po: {line}{what}: {reason}{hint}"
            text = _NOT_TEXT.sub(_escape, text)
        self._error_line(text)

    def fail_line(self, number: int, reason: str) -> None:
        """A line on stderr about a line of `run` that is no command."""
        self._failures += 1
        fields = {"line": number, "error": reason, "operation": "run"}
        text = _NOT_TEXT.sub(_escape, f"s3po: run line {number}: {reason}")
        self._error_line(json.dumps(fields) if self.json else text)

    def fail_by(self, operation: str, place: str, error: BaseException) -> None:
        """A line on stderr about an exception; without a `place`, the text of the error names it."""
        if self.json and not place:
            place = _place_of(error)
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

        hints, bucket = self._hints, error.bucket
        if bucket not in hints:
            # The buckets are listed once, also if many fail at once.
            hints[bucket] = ""
            try:
                hints[bucket] = suggest(
                    bucket, [each.name for each in self.connection.list_buckets()]
                )
            except S3poError:
                pass
        return hints[bucket]

    def _error_line(self, text: str) -> None:
        self.clear_progress()
        write_error(text + "\n")

    # Counts

    @property
    def failures(self) -> int:
        """Number of failures, those of the other processes included."""
        return self._failures + sum(each["failures"] for each in self._others.values())

    def add_failure(self) -> None:
        """Count a failure that was printed elsewhere."""
        self._failures += 1

    def count(self, size: int) -> None:
        """One object more is done."""
        self.objects += 1
        self.bytes += size
        if self._progress is not None:
            self._progress.update(self.counts)

    def expect(self, size: int) -> None:
        """One object more is to be done."""
        self.expected_objects += 1
        self.expected_bytes += size

    def unexpect(self, size: int) -> None:
        """An object needs not be done, or has failed."""
        self.expected_objects -= 1
        self.expected_bytes -= size

    def move(self, size: int) -> None:
        """Count transferred bytes of a running transfer; negative if they are sent again."""
        self.moving += size
        if self._progress is not None:
            self._progress.update(self.counts)

    @property
    def shows_progress(self) -> bool:
        return self._progress is not None

    def start_progress(self) -> None:
        """Show progress on stderr from now on, unless --quiet, --no-progress or --json."""
        if self._progress is None and not (
            self.given.quiet or self.given.no_progress or self.json or self._parent is not None
        ):
            self._progress = Progress(self._clock)

    def clear_progress(self) -> None:
        """Take the bar away before another line."""
        if self._progress is not None:
            self._progress.clear()

    def clear_for_output(self) -> None:
        """Take the bar away before a line on stdout, if that is the same terminal."""
        progress = self._progress
        if progress is None and self._parent is not None:
            progress = self._parent._progress
        if progress is not None and progress.shares_stdout:
            progress.clear()

    def become_member(self, reporter: Reporter) -> None:
        """Become the context of a worker process, which sends its counts to the first process."""
        self._progress = reporter
        self._others.clear()
        self._failures = 0

    def close_member(self) -> None:
        """Send the last counts, and close the connection."""
        if self._progress is not None:
            self._progress.close(self.counts)
        sys.stdout.flush()

    def seconds(self) -> float:
        return self._clock() - self._began

    def counts(self) -> dict[str, int]:
        """Counts of all that was done so far, by other processes too."""
        connections = [self._connection] if self._connection is not None else []
        if self._shared is not None:
            # The lines share them: `run` counts their requests.
            connections = [] if self._parent is not None else list(self._shared.values())
        counts = {
            "objects": self.objects,
            "bytes": self.bytes,
            "requests": sum(each.stats.requests for each in connections),
            "retries": sum(each.stats.retries for each in connections),
            "failures": self._failures,
            "moving": self.moving,
            "expected_objects": self.expected_objects,
            "expected_bytes": self.expected_bytes,
            "unknown": not self.all_known,
        }
        if self._others:
            # This process does nothing itself, or has added up the lines of `run`.
            counts["unknown"] = False
            for other in self._others.values():
                for name, value in other.items():
                    counts[name] += value
        return counts

    def set_counts(self, process: int, counts: dict[str, int]) -> None:
        """Take the counts of another process in place of its last ones."""
        self._others[process] = counts
        if self._progress is not None:
            self._progress.update(self.counts)

    def _add_to(self, parent: Context) -> None:
        """Add all counts to those of `run`."""
        counts = self.counts()
        total = parent._others.setdefault(-1, dict.fromkeys(counts, 0))
        for name, value in counts.items():
            total[name] += value
        # `run` counts lines that failed, and not what failed in them.
        total["failures"] = total["unknown"] = 0
        if parent._progress is not None:
            parent._progress.update(parent.counts)

    def show_counts(self) -> None:
        """The counts, on stderr."""
        counts = self.counts()
        names = ("objects", "bytes", "requests", "retries", "failures")
        fields: dict[str, Any] = {name: counts[name] for name in names}
        fields["seconds"] = round(self.seconds(), 3)
        text = ", ".join(f"{value} {name}" for name, value in fields.items())
        start = "interrupted: " if self.interrupted else ""
        write_error((json.dumps(fields) if self.json else f"s3po: {start}{text}") + "\n")

    def give_up(self) -> None:
        """End other processes, and show the counts: what is in progress after an interrupt has had its time."""
        for process in self.processes:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.interrupted = True
        self.clear_progress()
        sys.stdout.flush()
        self.show_counts()

    def close(self) -> None:
        """Print the counts with `--stat`, and close the connection."""
        if self._progress is not None:
            self._progress.close(self.counts)
        if self._parent is not None:
            self._add_to(self._parent)
        elif self.interrupted or self.given.stat:
            self.show_counts()
        if self._connection is not None and self._shared is None:
            self._connection.close()
        if self._logs is not None:
            self._logs.remove()


class Progress:
    """Objects, bytes, rate and time left on stderr: a bar on a terminal (tqdm's where installed), else lines."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = self._last = clock()
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.shares_stdout = self._terminal and sys.stdout.isatty()
        self._shown = False
        #: tqdm's, made when there is something to show.
        self._bar: Any = None

    def update(self, counts: Callable[[], dict[str, int]]) -> None:
        now = self._clock()
        if now - self._last < (_BAR_SECONDS if self._terminal else _LINE_SECONDS):
            return
        self._last = now
        text, part = format_progress(counts(), now - self._began)
        if not self._terminal:
            write_error(f"s3po: {text}\n")
            return
        width = _terminal_width()
        if self._bar is None and width > _NARROW:
            self._bar = _make_bar(width)
        self._shown = True
        if self._bar and width > _NARROW:
            self._bar.ncols = width
            self._bar.n = part
            self._bar.set_postfix_str(text)
        else:
            write_error(f"\r\x1b[K{text[:width]}")

    def clear(self) -> None:
        """Take the bar away before another line."""
        if self._shown:
            write_error("\r\x1b[K")
            self._shown = False

    def close(self, counts: Callable[[], dict[str, int]]) -> None:  # noqa: ARG002
        if self._bar:
            self._bar.close()
        self.clear()


def _terminal_width() -> int:
    """Columns of stderr's terminal that a line may have, without the last one, at which some break lines."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        columns = 0
    # A serial console has none.
    return min((columns or 80) - 1, _WIDEST)


def _make_bar(width: int) -> Any:
    """tqdm's bar, whose parts of one are all it counts; False where there is no tqdm."""
    try:
        from tqdm import tqdm
    except ImportError:
        return False
    tqdm.monitor_interval = 0
    layout = "{percentage:3.0f}%|{bar}| {postfix}"
    return tqdm(total=1, file=sys.stderr, leave=False, bar_format=layout, ncols=width, nrows=_ROWS)


def format_progress(counts: dict[str, int], seconds: float) -> tuple[str, float]:
    """Text of a bar or line, and the completed share, from 0 to 1; 0 if unknown."""
    objects, size = counts["objects"], counts["bytes"] + max(counts["moving"], 0)
    rate = size / max(seconds, 0.001)
    all_objects = max(counts["expected_objects"], objects)
    all_bytes = max(counts["expected_bytes"], size)
    more = "+" if counts["unknown"] else ""
    if not counts["expected_objects"]:
        return f"{objects} objects, {format_size(size)}, {format_size(rate)}/s", 0.0
    text = (
        f"{objects}/{all_objects}{more} objects, {format_size(size)}/{format_size(all_bytes)}{more}, "
        f"{format_size(rate)}/s"
    )
    if more:
        return text, 0.0
    # Many small objects take time by their number, large ones by their bytes: the slower counts.
    parts = [objects / all_objects if all_objects else 1.0]
    if all_bytes:
        parts.append(size / all_bytes)
    part = min(parts) if objects else parts[-1]
    if part > 0:
        left = int(seconds / part - seconds)
        hours, minutes = divmod(left // 60, 60)
        text += f", ETA {hours}:{minutes:02}:{left % 60:02}"
    return text, min(part, 1.0)


def describe(error: BaseException) -> str:
    """The reason of a failure, in one line."""
    if isinstance(error, OSError) and error.strerror and not hasattr(error, "attempts"):
        name = error.filename
        return f"{error.strerror}: {name}" if isinstance(name, str) else error.strerror
    return " ".join((str(error) or type(error).__name__).split())


def _place_of(error: BaseException) -> str:
    """The object, bucket or file of an error; empty if it has none."""
    bucket, key = getattr(error, "bucket", None), getattr(error, "key", None)
    if bucket:
        return f"s3://{bucket}/{key}" if key else f"s3://{bucket}"
    name = getattr(error, "filename", None)
    return name if isinstance(name, str) else ""


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


#: C0 with the line feed, DEL, C1.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

#: These, and what is no UTF-8.
_NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def _encode(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
