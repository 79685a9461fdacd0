"""Credentials that a program prints (`credential_process`).

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import Any

from s3po.credentials.answers import (
    excerpt,
    make_credentials,
    parse_json,
    required_time,
    secrets_in,
)
from s3po.credentials.threads import in_thread
from s3po.errors import CredentialsError
from s3po.models import Credentials

#: Seconds after which the program is ended.
TIMEOUT = 60.0
_NAMES = ("AccessKeyId", "SecretAccessKey", "SessionToken")


def run_process(command: str, source: str, *, timeout: float = TIMEOUT) -> Credentials:
    """Run the program, no shell between, and read what it prints. Raises CredentialsError."""
    # Its arguments may hold secrets: only its name is shown.
    try:
        arguments: Any = command if sys.platform == "win32" else shlex.split(command)
    except ValueError as error:
        raise CredentialsError(f"{source}: credential_process is not a command: {error}") from None
    if not arguments:
        raise CredentialsError(f"{source}: credential_process is not a command")
    name = ascii(command.split()[0] if sys.platform == "win32" else arguments[0])[1:-1]
    what = f"{source}: credential_process {os.path.basename(name)}"
    try:
        status, out, err = in_thread(lambda: _run(arguments, timeout))
    except subprocess.TimeoutExpired:
        raise CredentialsError(f"{what} took longer than {timeout:g} s") from None
    except RuntimeError as error:
        # Patched by gevent, it forks, which Python refuses while the interpreter ends.
        raise CredentialsError(f"{what} cannot be run: {error}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CredentialsError(f"{what} cannot be run: {reason}") from None
    if status != 0:
        said = excerpt(err, _secrets(out))
        raise CredentialsError(f"{what} ended with {status}" + (f": {said}" if said else ""))
    fields = parse_json(out, f"{what}: its output")
    version = fields.get("Version")
    if version != 1 or isinstance(version, bool):
        raise CredentialsError(f"{what}: its Version is not 1")
    expires = None
    if fields.get("Expiration") is not None:
        expires = required_time(fields, "Expiration", what)
    return make_credentials(fields, _NAMES, source, expires=expires, needs_token=False)


def _secrets(out: bytes) -> list[str]:
    try:
        return secrets_in(json.loads(out))
    except (ValueError, RecursionError):
        return []


def _run(arguments: Any, timeout: float) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        arguments,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
