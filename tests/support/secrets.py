"""Secrets that a program is given, and a search for them in all that a program may show of an exception."""

from __future__ import annotations

import base64
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

SECRET = "S3cretKeyThatNobodyMaySee/0123456789abcd"
TOKEN = "T0kenThatNobodyMaySee" * 5
PROXY_PASSWORD = "pr0xyPasswordThatNobodyMaySee"
CUSTOMER_KEY = b"CustomersKeyThatNobodyMaySee0123"

#: Texts, and what a signature looks like.
SECRETS = {
    "secret key": SECRET,
    "token": TOKEN,
    "proxy password": PROXY_PASSWORD,
    "proxy password in base64": base64.b64encode(f"user:{PROXY_PASSWORD}".encode()).decode(),
    "customer's key": CUSTOMER_KEY.decode(),
    "customer's key in base64": base64.b64encode(CUSTOMER_KEY).decode(),
}
SIGNATURE = re.compile(r"[Ss]ignature['\"]?\s*[=:]\s*['\"]?[0-9a-f]{16,}")

_TESTS = str(Path(__file__).parent.parent)
#: Elements of a container, and characters of a text, that are searched; objects are not of secrets.
_MOST = 200
_LONGEST = 100_000


def leaks(text: str) -> list[str]:
    """Names of the secrets that a text holds."""
    found = [name for name, secret in SECRETS.items() if secret in text]
    if SIGNATURE.search(text):
        found.append("signature")
    return found


def shown(value: object, depth: int = 4) -> Iterator[str]:
    """What programs show of a local: its repr (`traceback`), its beginning (rich), and its elements (Sentry)."""
    if isinstance(value, (bytes, bytearray, str)) and len(value) > _LONGEST:
        return
    try:
        yield repr(value)
    except Exception:
        return
    if isinstance(value, str):
        yield repr(value[:80])
    if not depth:
        return
    if isinstance(value, Mapping):
        for name, each in list(value.items())[:_MOST]:
            yield from shown(name, depth - 1)
            yield from shown(each, depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in list(value)[:_MOST]:
            yield from shown(each, depth - 1)


def leaks_of_traceback(error: BaseException) -> list[str]:
    """Secrets among the locals of all frames but the tests', of the exception and of those behind it."""
    found: list[str] = []
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        left += [each.__cause__, each.__context__]
        for failure in getattr(each, "failures", ()):
            left.append(failure if isinstance(failure, BaseException) else failure.exception)
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
        texts = [str(each), repr(each), *getattr(each, "__notes__", ()), *shown(vars(each))]
        texts += traceback.format_exception_only(each)
        found += [f"{type(each).__name__}: {name}" for text in texts for name in leaks(text)]
        found += _leaks_of_frames(each.__traceback__)
    return found


def _leaks_of_frames(step: TracebackType | None) -> list[str]:
    found = []
    while step is not None:
        frame = step.tb_frame
        step = step.tb_next
        if frame.f_code.co_filename.startswith(_TESTS):
            continue
        values: dict[str, Any] = frame.f_locals
        found += [
            f"{frame.f_code.co_filename}:{frame.f_lineno}: {frame.f_code.co_qualname}: {name}: {what}"
            for name, value in values.items()
            for text in shown(value)
            for what in leaks(text)
        ]
    return found
