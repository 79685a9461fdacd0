"""Regular expressions that are compiled when they are used."""

from __future__ import annotations

import re

import pytest

from s3po.patterns import Pattern


def test_a_pattern_has_the_methods_of_a_compiled_one() -> None:
    pattern, compiled = Pattern("(a)b", re.IGNORECASE), re.compile("(a)b", re.IGNORECASE)
    for method in ("findall", "fullmatch", "match", "search"):
        for text in ("xABab", "ab", "AB", ""):
            assert str(getattr(pattern, method)(text)) == str(getattr(compiled, method)(text))
    assert pattern.sub("-", "xAB") == "x-"
    assert [found[1] for found in pattern.finditer("abAB")] == ["a", "A"]
    with pytest.raises(AttributeError):
        pattern.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_pattern_is_compiled_when_it_is_used() -> None:
    broken = Pattern("(")
    with pytest.raises(re.error):
        broken.search("a")
