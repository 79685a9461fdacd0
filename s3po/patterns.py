"""`Pattern`: a regular expression that is compiled when it is used for the first time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")
_ATTRIBUTES = ("flags", "groupindex", "groups", "pattern")


class Pattern:
    """A regular expression with methods and attributes of `re.Pattern`. Compiling one takes up to a millisecond.

    After the first use they are those of the compiled one. `isinstance` takes it for a `re.Pattern`, so
    that the functions of `re` accept it.
    """

    __slots__ = ("_flags", "_text", *_METHODS, *_ATTRIBUTES)

    findall: Callable[..., list[Any]]
    finditer: Callable[..., Iterator[re.Match[Any]]]
    fullmatch: Callable[..., re.Match[Any] | None]
    match: Callable[..., re.Match[Any] | None]
    search: Callable[..., re.Match[Any] | None]
    split: Callable[..., list[Any]]
    sub: Callable[..., Any]
    subn: Callable[..., tuple[Any, int]]
    flags: int
    groupindex: Mapping[str, int]
    groups: int
    pattern: Any

    def __init__(self, text: str | bytes, flags: int = 0) -> None:
        self._text = text
        self._flags = flags

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return re.Pattern

    def __getattr__(self, name: str) -> Any:
        if name not in self.__slots__:
            raise AttributeError(name)
        compiled = self._compile()
        for each in (*_METHODS, *_ATTRIBUTES):
            setattr(self, each, getattr(compiled, each))
        return getattr(compiled, name)

    def __eq__(self, other: object) -> bool:
        other_type: type = type(other)
        if other_type is Pattern:
            return bool(self._compile() == other._compile())  # type: ignore[attr-defined]
        return NotImplemented if other_type is not re.Pattern else bool(self._compile() == other)

    def __hash__(self) -> int:
        return hash(self._compile())

    def __repr__(self) -> str:
        return repr(self._compile())

    def __reduce__(self) -> tuple[Any, ...]:
        return re.compile, (self._text, self._flags)

    def _compile(self) -> re.Pattern[Any]:
        return re.compile(self._text, self._flags)
