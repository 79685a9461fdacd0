"""Token caches that the AWS tools share: read defensively, written atomically, for the user alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from s3po import log
from s3po.credentials.answers import parse_json
from s3po.errors import CredentialsError

_log = log.logger("credentials")

#: Longest file that is read.
_MOST = 1024 * 1024


def read_cache(folder: str, name: str, what: str) -> dict[str, Any] | None:
    """A file's JSON; None where there is no file. Raises CredentialsError, which shows nothing of it."""
    path = os.path.join(os.path.expanduser(folder), f"{name}.json")
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CredentialsError(f"{what}: {folder}/{name}.json cannot be read: {reason}") from None
    if len(data) > _MOST:
        raise CredentialsError(f"{what}: {folder}/{name}.json is too large")
    return parse_json(data, f"{what}: {folder}/{name}.json")


def write_cache(folder: str, name: str, value: Mapping[str, Any]) -> None:
    """Replace a file atomically. A failure is ignored, for the token is in use already."""
    path = os.path.join(os.path.expanduser(folder), f"{name}.json")
    new = f"{path}.{os.getpid()}.s3po"
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(value, file)
            os.replace(new, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(new)
            raise
    except OSError as error:
        _log.warning("%s/%s.json cannot be written: %s", folder, name, error.strerror)
