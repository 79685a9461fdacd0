"""`s3://bucket/key` and patterns in keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from s3po.cli.errors import UsageError

_WILD = re.compile(r"[*?]")


class Location(NamedTuple):
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def is_s3(text: str) -> bool:
    """True for what names a store's bucket or key, not a file."""
    return text[:5].lower() == "s3://"


def parse_location(text: str, *, key: bool = False) -> Location:
    """The bucket and key of `s3://bucket/key`; with `key=True` the key must not be empty.

    Raises UsageError, with a hint.
    """
    if not is_s3(text):
        rest = re.sub(r"^(?:[a-z][a-z0-9+.-]*://+|s3:?/*|/+)", "", text, flags=re.IGNORECASE)
        hint = f"s3://{rest}" if rest and not text.startswith((".", "-")) else None
        raise UsageError(
            f"{text!r} is not s3://BUCKET[/KEY]" + (f"; did you mean {hint}?" if hint else "")
        )
    bucket, _, rest = text[5:].partition("/")
    if bucket.startswith("arn:"):
        # The ARN of an access point contains a slash.
        name, _, rest = rest.partition("/")
        bucket = f"{bucket}/{name}"
    if not bucket:
        raise UsageError(f"{text!r} names no bucket")
    if key and not rest:
        raise UsageError(f"{text!r} names no key")
    return Location(bucket, rest)


def parse_bucket(text: str) -> str:
    """The bucket of `s3://bucket` or `s3://bucket/`. Raises UsageError for a key: it would be ignored."""
    location = parse_location(text)
    if location.key:
        raise UsageError(f"{text!r} names a key, and not a bucket alone")
    return location.bucket


def has_wildcard(text: str) -> bool:
    return _WILD.search(text) is not None


def fixed_prefix(pattern: str) -> str:
    """The part of a pattern before its first wildcard."""
    found = _WILD.search(pattern)
    return pattern if found is None else pattern[: found.start()]


def compile_pattern(pattern: str) -> Callable[[str], object]:
    """A predicate for a whole key: `*` is any run of characters, `/` included, `?` is one."""
    text = "".join(
        ".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern
    )
    return re.compile(text, re.DOTALL).fullmatch


def make_filter(rules: list[tuple[str, str]] | None) -> Callable[[str], bool] | None:
    """A predicate of `--include` and `--exclude` in their order: the last that matches decides."""
    if not rules:
        return None
    import fnmatch

    compiled = [
        (kind == "include", re.compile(fnmatch.translate(pattern)).match) for kind, pattern in rules
    ]

    def included(name: str) -> bool:
        for wanted, matches in reversed(compiled):
            if matches(name):
                return wanted
        return True

    return included
