"""Loggers, one for each layer, below ``s3po``; they print nothing unless the program asks for it."""

from __future__ import annotations

import logging


def logger(layer: str) -> logging.Logger:
    """The logger of a layer: ``logger("rest")`` is ``s3po.rest``."""
    return logging.getLogger(f"s3po.{layer}")
