"""Processes that share the work of one command.

The first process forks the others, hands out lines of `run`, writes what they write, and adds up their
counts; it does no work itself. Each other process sends frames on a pipe: a letter, a length and bytes.
"""

from __future__ import annotations

import io
import json
import os
import selectors
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn
from zlib import crc32

from s3po.cli.errors import UsageError, write_error
from s3po.cli.frames import HEAD, FrameStream, Reporter, send_frame, wait_readable, write_all
from s3po.cli.signals import CODES, Interrupts

if TYPE_CHECKING:
    from s3po.cli.context import Context
    from s3po.cli.lines import Lines

#: Bytes of a line that is written before its end is there, so that memory is bounded.
_LONGEST_LINE = 1 << 16
#: Seconds that the others have after an interrupt.
_GRACE = 0.7
_INTERRUPTED, _PIPE_CLOSED = 130, 141


class WorkShare:
    """The keys of one process among several."""

    def __init__(self, number: int, of: int) -> None:
        self.number = number
        self.of = of

    def has(self, key: str) -> bool:
        """True for a key that is this process's."""
        return (
            self.of == 1 or crc32(key.encode("utf-8", "surrogateescape")) % self.of == self.number
        )


def run_shares(context: Context, count: int, work: Callable[[WorkShare], Any]) -> list[Any] | None:
    """Call `work` in each of `count` processes, or here for one. Returns the results, JSON's values.

    None if one of them did not end normally; its failures are printed and counted. Raises
    KeyboardInterrupt, after the others have ended, and BrokenPipeError where stdout is closed.
    """
    if count <= 1:
        return [work(WorkShare(0, 1))]
    # Made here, so that settings are refused once; it connects when it is first used.
    context.connection  # noqa: B018
    return _WorkerPool(context).run(count, lambda share, _: work(share))


def run_tasks(
    context: Context, count: int, tasks: Lines, perform: Callable[[Iterator[Any]], object]
) -> bool:
    """Call `perform` in `count` processes with an iterator of lines of `tasks`, each with different ones.

    Returns False where a process did not come to its end.
    """

    def body(_: WorkShare, receive: Callable[[], Any]) -> None:
        perform(iter(receive, None))

    return _WorkerPool(context, tasks).run(count, body) is not None


class _WorkerPool:
    """The worker processes, from the view of the first one."""

    def __init__(self, context: Context, tasks: Lines | None = None) -> None:
        self._context = context
        self._tasks = tasks
        self._members: dict[int, _Member] = {}
        #: Members that have asked for a task.
        self._idle: deque[_Member] = deque()
        self._selector = selectors.DefaultSelector()

    def run(
        self, count: int, body: Callable[[WorkShare, Callable[[], Any]], Any]
    ) -> list[Any] | None:
        context = self._context
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            for number in range(count):
                self._start(WorkShare(number, count), body)
            while self._working():
                self._receive(None)
        except BaseException:
            self._stop()
            raise
        finally:
            self._selector.close()
        codes = [each.code for each in self._members.values()]
        if _INTERRUPTED in codes:
            raise KeyboardInterrupt
        if any(code not in (0, 1) for code in codes):
            context.fail(context.command, "--workers", "a process ended before its work was done")
        if any(codes):
            return None
        return [each.result for each in self._members.values()]

    def _start(self, share: WorkShare, body: Callable[[WorkShare, Callable[[], Any]], Any]) -> None:
        reader, writer = os.pipe()
        task_reader, task_writer = os.pipe()
        # A signal would be lost in functions that are called at a fork, or come to the other process
        # before it can end in order.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, CODES)
        try:
            process = os.fork()
            if process == 0:
                for fd in (reader, task_writer, *self._descriptors()):
                    os.close(fd)
                _run_member(self._context, share, writer, task_reader, body, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writer)
        os.close(task_reader)
        member = _Member(share.number, process, reader, task_writer)
        self._members[share.number] = member
        self._context.processes.append(process)
        self._selector.register(reader, selectors.EVENT_READ, member)

    def _descriptors(self) -> list[int]:
        return [
            fd
            for each in self._members.values()
            for fd in (each.reader, each.task_writer)
            if fd >= 0
        ]

    def _working(self) -> bool:
        return any(each.code is None for each in self._members.values())

    def _hand_out(self) -> None:
        """Send tasks to idle workers; without a task, the input is waited for together with other events."""
        tasks = self._tasks
        assert tasks is not None
        while self._idle and tasks.ready():
            self._idle.popleft().send(next(tasks, None))
        if tasks.fd is None:
            return
        waits = tasks.fd in self._selector.get_map()
        if self._idle and not waits:
            self._selector.register(tasks.fd, selectors.EVENT_READ)
        elif waits and not self._idle:
            self._selector.unregister(tasks.fd)

    def _receive(self, timeout: float | None) -> None:
        """Read the frames received so far."""
        for event, _ in self._selector.select(timeout):
            member: _Member | None = event.data
            if member is None:
                assert self._tasks is not None
                self._tasks.fill()
                self._hand_out()
                continue
            data = os.read(member.reader, 1 << 18)
            if not data:
                self._selector.unregister(member.reader)
                member.close()
                if member in self._idle:
                    self._idle.remove(member)
                _, status = os.waitpid(member.process, 0)
                member.code = os.waitstatus_to_exitcode(status)
                self._context.processes.remove(member.process)
                for kind, rest in member.lines.items():
                    self._write(kind, rest)
                continue
            for kind, payload in member.split(data):
                if kind in (b"O", b"E"):
                    self._write(kind, member.whole_lines(kind, payload))
                elif kind == b"C":
                    self._context.set_counts(member.process, json.loads(payload))
                elif kind == b"R":
                    member.result = json.loads(payload)
                elif kind == b"N":
                    self._idle.append(member)
                    self._hand_out()

    def _write(self, kind: bytes, data: bytes) -> None:
        if not data:
            return
        if kind == b"O":
            self._context.clear_for_output()
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        else:
            self._context.clear_progress()
            write_error(data.decode("utf-8", "surrogateescape"))

    def _stop(self) -> None:
        """End the others: they have a moment to abort what is in progress."""
        left = [each for each in self._members.values() if each.code is None]
        for each in left:
            _kill(each.process, signal.SIGTERM)
        end = monotonic() + _GRACE
        try:
            while self._working() and (rest := end - monotonic()) > 0:
                self._receive(rest)
        except (KeyboardInterrupt, BrokenPipeError):
            pass
        for each in left:
            if each.code is None:
                _kill(each.process, signal.SIGKILL)
                os.waitpid(each.process, 0)
                self._context.processes.remove(each.process)
                each.close()


class _Member:
    """Worker process, as the first process sees it."""

    def __init__(self, number: int, process: int, reader: int, task_writer: int) -> None:
        self.number = number
        self.process = process
        self.reader = reader
        self.task_writer = task_writer
        self.code: int | None = None
        self.result: Any = None
        #: Of stdout and stderr: the line whose end has not come.
        self.lines = {b"O": b"", b"E": b""}
        self._data = b""

    def split(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The frames that are whole by now."""
        self._data += data
        while len(self._data) >= HEAD.size:
            kind, length = HEAD.unpack_from(self._data)
            end = HEAD.size + length
            if len(self._data) < end:
                return
            payload, self._data = self._data[HEAD.size : end], self._data[end:]
            yield kind, payload

    def whole_lines(self, kind: bytes, data: bytes) -> bytes:
        """Lines up to the last end of one; the rest waits."""
        data = self.lines[kind] + data
        end = data.rfind(b"\n") + 1 if len(data) < _LONGEST_LINE else len(data)
        self.lines[kind] = data[end:]
        return data[:end]

    def send(self, task: Any) -> None:
        try:
            write_all(self.task_writer, json.dumps(task).encode() + b"\n")
        except BrokenPipeError:
            # It has ended, as its pipe shows.
            pass

    def close(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
            os.close(self.task_writer)
            self.reader = self.task_writer = -1


def _run_member(
    context: Context,
    share: WorkShare,
    writer: int,
    task_reader: int,
    body: Callable[[WorkShare, Callable[[], Any]], Any],
    signals: Iterable[int],
) -> NoReturn:
    """All that one of the other processes does. It does not return to what was forked.

    `signals` are those that were blocked before the fork.
    """
    code = 1
    interrupts = Interrupts(seconds=_GRACE * 0.8, patient=True)
    try:
        interrupts.install()
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(FrameStream(writer, b"O"), 1 << 14), "utf-8", "surrogateescape"
        )
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(FrameStream(writer, b"E")),
            "utf-8",
            "backslashreplace",
            line_buffering=True,
        )
        context.become_member(Reporter(writer))
        tasks: BinaryIO = os.fdopen(task_reader, "rb")

        def receive() -> Any:
            sys.stdout.flush()
            send_frame(writer, b"N", b"")
            # What is in progress continues meanwhile.
            wait_readable(task_reader)
            line = tasks.readline()
            return json.loads(line) if line else None

        result = body(share, receive)
        send_frame(writer, b"R", json.dumps(result).encode())
        code = 0
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BrokenPipeError:
        # The first process has ended, or its output is closed.
        code = _PIPE_CLOSED
    except UsageError as error:
        context.fail(context.command, "", str(error))
    except Exception as error:
        try:
            context.fail_or_raise(error)
        except Exception:
            sys.excepthook(*sys.exc_info())
    finally:
        try:
            context.close_member()
            sys.stderr.flush()
        except OSError:
            pass
        finally:
            os._exit(code)


def _kill(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        pass
