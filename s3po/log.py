"""One logger for each layer, below ``s3po``; nothing is ever printed unless the host asks for it."""

from __future__ import annotations

import logging


def logger(layer: str) -> logging.Logger:
    """The logger of a layer: ``logger("rest")`` is ``s3po.rest``."""
    return logging.getLogger(f"s3po.{layer}")
