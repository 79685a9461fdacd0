"""Loggers, one for each layer, below ``s3po``; names of secrets, and types that hide them.

Without configuration nothing is printed.
"""

from __future__ import annotations

import logging
from typing import Any, SupportsIndex, TypeVar, cast

_T = TypeVar("_T")

# The program decides if and where a library logs. Not in `s3po/__init__.py`: all modules that log import
# this one, and `import s3po` is fast without `logging`.
logging.getLogger("s3po").addHandler(logging.NullHandler())

_SECRET_NAMES = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authorization",
        # Of form fields and the query, V2's too.
        "securitytoken",
        "signature",
        "x-amz-s3session-token",
        "x-amz-security-token",
        "x-amz-signature",
    }
)


def logger(layer: str) -> logging.Logger:
    """The logger of a layer: ``logger("rest")`` is ``s3po.rest``."""
    return logging.getLogger(f"s3po.{layer}")


def is_secret(name: str) -> bool:
    """Return True for headers and query parameters with secret values: signatures, tokens, customer keys.

    `name` is in lower case.
    """
    return name in _SECRET_NAMES or name.endswith("-customer-key")


class SecretStr(str):
    """Secret text, which reprs and tracebacks with locals do not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'...'"

    def __getitem__(self, index: SupportsIndex | slice) -> SecretStr:
        # Programs that shorten what they show take the beginning of it.
        return SecretStr(super().__getitem__(index))


class SecretBytes(bytes):
    """Bytes with a secret among them, as a request's head, which reprs and tracebacks with locals do not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def hide(value: _T) -> _T:
    """The same text or bytes, or those of a dict, of a type that hides them; anything else as it is."""
    given: Any = value
    hidden = given
    if isinstance(value, str):
        hidden = SecretStr(value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        hidden = SecretBytes(value)
    elif type(value) is dict:
        hidden = {name: hide(each) for name, each in given.items()}
    return cast(_T, hidden)
