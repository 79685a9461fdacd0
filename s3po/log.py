"""Loggers, one for each layer, below ``s3po``; names of secrets. Without configuration nothing is printed."""

from __future__ import annotations

import logging

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
