"""`record` gives what `dataclass(frozen=True, slots=True)` gives."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import dataclass, field
from typing import Any

import pytest

from s3po import models
from s3po.records import Record, record


@record
class Point:
    """A point."""

    x: int
    label: str = "here"
    secret: str = field(default="s", repr=False)
    note: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """A point."""

    x: int
    label: str = "here"
    secret: str = field(default="s", repr=False)
    note: str | None = field(default=None, compare=False)


ARGUMENTS = [((1,), {}), ((1, "a", "b", "c"), {}), ((), {"x": 2, "note": "n"})]


@pytest.mark.parametrize(("args", "kwargs"), ARGUMENTS, ids=["defaults", "positional", "keywords"])
def test_instances_are_those_of_a_dataclass(args, kwargs):
    point, reference = Point(*args, **kwargs), Reference(*args, **kwargs)
    assert repr(point) == repr(reference).replace("Reference", "Point")
    assert hash(point) == hash(reference)
    assert dataclasses.asdict(point) == dataclasses.asdict(reference)
    assert dataclasses.astuple(point) == dataclasses.astuple(reference)
    assert point.__getstate__() == reference.__getstate__()
    assert point == Point(*args, **kwargs)
    other: object = reference
    assert point != other
    for copied in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert copied == point
        assert copied.note == point.note


def test_classes_are_those_of_a_dataclass():
    one: Any = Point
    other: Any = Reference
    assert dataclasses.is_dataclass(Point)
    assert inspect.signature(Point) == inspect.signature(Reference)
    assert one.__match_args__ == other.__match_args__
    assert one.__slots__ == other.__slots__
    assert Point.__doc__ == Reference.__doc__
    shown = [
        (each.name, each.default, each.repr, each.compare) for each in dataclasses.fields(Point)
    ]
    wanted = dataclasses.fields(Reference)
    assert shown == [(each.name, each.default, each.repr, each.compare) for each in wanted]


@pytest.mark.parametrize("kind", [Point, Reference], ids=["record", "dataclass"])
def test_replaced_fields_are_new_instances(kind):
    point = kind(1)
    assert dataclasses.replace(point, label="there") == kind(1, "there")
    assert point.label == "here"
    with pytest.raises(TypeError):
        dataclasses.replace(point, y=1)


@pytest.mark.parametrize("kind", [Point, Reference], ids=["record", "dataclass"])
def test_instances_are_frozen(kind):
    point = kind(1)
    for change in (
        lambda: setattr(point, "x", 2),
        lambda: delattr(point, "x"),
        lambda: setattr(point, "note", "n"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert not hasattr(point, "__dict__")


@pytest.mark.parametrize("kind", [Point, Reference], ids=["record", "dataclass"])
def test_wrong_arguments_are_type_errors(kind):
    for arguments in ((), (1, 2, 3, 4, 5)):
        with pytest.raises(TypeError, match=r"__init__\(\)"):
            kind(*arguments)
    with pytest.raises(TypeError, match="'y'"):
        kind(1, y=2)


def test_a_class_derived_from_a_record_may_have_attributes_of_its_own():
    class Derived(Point):
        def __init__(self, x: int) -> None:
            super().__init__(x)
            self.own = x + 1

    class Fresh(Point):
        pass

    assert Derived(1).own == 2
    assert Derived(1).x == 1
    assert Fresh(3).x == 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        Derived(1).x = 5  # type: ignore[misc]
    assert [each.name for each in dataclasses.fields(Derived)] == list(Point.__match_args__)


def test_the_models_are_records_whose_dataclass_can_be_made():
    found = [
        each
        for each in vars(models).values()
        if isinstance(each, type) and issubclass(each, Record)
    ]
    assert len(found) > 20
    for each in found:
        assert dataclasses.fields(each)


@record(kw_only=True, eq=False)
class Named:
    """A thing with names."""

    name: str
    sizes: dict[str, int] = field(default_factory=dict)
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NamedReference:
    """A thing with names."""

    name: str
    sizes: dict[str, int] = field(default_factory=dict)
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count")


@pytest.mark.parametrize("kind", [Named, NamedReference], ids=["record", "dataclass"])
def test_arguments_of_the_decorator_are_those_of_dataclass(kind: Any) -> None:
    one, other = kind(name="a"), kind(name="a")
    assert one.sizes == {}
    assert one.sizes is not other.sizes
    assert one != other
    assert len({one, other, one}) == 2
    with pytest.raises(TypeError, match="positional"):
        kind("a")
    with pytest.raises(TypeError, match="'nme'"):
        kind(nme="a")
    with pytest.raises(ValueError, match="count"):
        dataclasses.replace(one, count=-1)
    assert dataclasses.replace(one, count=2).count == 2
    assert kind.__match_args__ == ()
    assert inspect.signature(kind) == inspect.signature(NamedReference)
    copied = pickle.loads(pickle.dumps(one))
    assert (copied.name, copied.sizes, copied.count) == ("a", {}, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.count = 2
