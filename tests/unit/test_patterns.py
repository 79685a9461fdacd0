"""Regular expressions that are compiled when they are used."""

from __future__ import annotations

import copy
import pickle
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


def test_the_functions_of_re_accept_a_pattern() -> None:
    pattern = Pattern("(?P<x>a)b")
    assert isinstance(pattern, re.Pattern)
    assert re.sub(pattern, "-", "xab") == "x-"  # type: ignore[call-overload]
    assert re.compile(pattern) is pattern  # type: ignore[call-overload]
    assert (pattern.groups, pattern.pattern, pattern.groupindex["x"]) == (1, "(?P<x>a)b", 1)
    assert Pattern(rb",\s*").split(b"a, b") == [b"a", b"b"]


def test_a_pattern_equals_the_compiled_one_also_when_copied() -> None:
    pattern, compiled = Pattern("a", re.IGNORECASE), re.compile("a", re.IGNORECASE)
    assert pattern == compiled == pattern == Pattern("a", re.IGNORECASE)
    assert pattern != Pattern("a")
    assert pattern != "a"
    assert {pattern} == {compiled}
    assert pickle.loads(pickle.dumps(pattern)) == copy.deepcopy(pattern) == compiled
    assert repr(pattern) == repr(compiled)
