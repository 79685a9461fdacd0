"""Patterns of a policy: `*`, `?` and policy variables (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

#: `${aws:username}`, `${s3:prefix, 'default'}`, and the escapes `${*}`, `${?}`, `${$}`.
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DEFAULT = re.compile(r"\s*([^,\s]+)\s*(?:,\s*'([^']*)'\s*)?\Z")

#: The value of a policy variable in a request; None where the request has none.
Lookup = Callable[[str], str | None]


class _Wildcard:
    """`*` or `?`; a separate class, as the text of a variable can contain both characters."""


_ANY = _Wildcard()
_ONE = _Wildcard()


def _tokens(text: str) -> list[str | _Wildcard]:
    return [_ANY if letter == "*" else _ONE if letter == "?" else letter for letter in text]


def _match(pattern: Sequence[str | _Wildcard], text: str) -> bool:
    """Match greedily, quadratic at worst: patterns are untrusted."""
    at = position = 0
    star, resume = -1, 0
    while position < len(text):
        token = pattern[at] if at < len(pattern) else None
        if token is _ANY:
            star, resume = at, position
            at += 1
        elif token is _ONE or token == text[position]:
            at += 1
            position += 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return all(token is _ANY for token in pattern[at:])


def matches(pattern: str, text: str) -> bool:
    """`*` matches any characters, `?` one."""
    head, star, tail = pattern.partition("*")
    if "?" not in pattern:
        if not star:
            return pattern == text
        if not tail:
            return text.startswith(head)
    return _match(_tokens(pattern), text)


def has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text


class Pattern:
    """A value of a policy that may hold wildcards and, in version 2012-10-17, variables."""

    __slots__ = ("pieces", "text")

    def __init__(self, text: str, *, variables: bool) -> None:
        self.text = text
        #: Text and variables in turn (re.split); None without variables.
        self.pieces = _VARIABLE.split(text) if variables and "${" in text else None

    def _resolve(self, lookup: Lookup) -> list[str | _Wildcard] | None:
        """The pattern with its variables replaced by literal text; None where one has no value."""
        tokens: list[str | _Wildcard] = []
        for index, piece in enumerate(self.pieces or ()):
            if not index % 2:
                tokens += _tokens(piece)
            elif piece in ("*", "?", "$"):
                tokens.append(piece)
            else:
                named = _DEFAULT.match(piece)
                value = lookup(named[1]) if named else None
                if value is None and named:
                    value = named[2]
                if value is None:
                    return None
                tokens += value
        return tokens

    def matches(self, text: str, lookup: Lookup) -> bool:
        if self.pieces is None:
            return matches(self.text, text)
        tokens = self._resolve(lookup)
        return tokens is not None and _match(tokens, text)

    def literal(self, lookup: Lookup) -> str | None:
        """The text where wildcards mean nothing; None where a variable has no value."""
        if self.pieces is None:
            return self.text
        tokens = self._resolve(lookup)
        if tokens is None:
            return None
        return "".join(
            "*" if token is _ANY else "?" if token is _ONE else str(token) for token in tokens
        )
