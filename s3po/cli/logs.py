"""Log messages and warnings of the library as lines of the program."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

#: Of the layers that tell what a transfer left behind, or began anew.
_LOGGERS = ("s3po.rest", "s3po.transfer")


class LogLines(logging.Handler):
    """Passes messages of the library from `level` on to `write`, until `remove`.

    Where the program has handlers already, only the level is set.
    """

    def __init__(self, level: str, write: Callable[[str], None]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._write = write
        self._library = logging.getLogger("s3po")
        self._before = self._library.level
        self._library.setLevel(level.upper())
        self._root = logging.getLogger()
        if not self._root.handlers:
            self._root.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(self.format(record))
        except OSError:
            pass
        except Exception:
            self.handleError(record)

    def remove(self) -> None:
        self._library.setLevel(self._before)
        self._root.removeHandler(self)


class WarningLines(logging.Handler):
    """Passes each WARNING about transfers to `warn`, until `remove`.

    One that is an exception's text is left out: the exception is reported as a failure.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._warn = warn
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args
        if isinstance(arguments, tuple) and isinstance(next(iter(arguments), None), BaseException):
            return
        # An error in a log message must not change what the transfer does.
        with suppress(OSError):
            self._warn(record.getMessage())

    def remove(self) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self)
