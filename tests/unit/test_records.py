"""Records beside the dataclasses that they stand for."""

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

from s3po import models, records

RECORDS = sorted(
    (
        each
        for each in vars(models).values()
        if isinstance(each, type) and hasattr(each, "_record_shown")
    ),
    key=lambda each: each.__name__,
)


def twin_of(cls):
    """Make the class as `dataclasses` makes it."""
    namespace = {"__annotations__": cls.__annotations__, "__module__": cls.__module__}
    for name, given in cls._record_options.items():
        extra = {} if given.default is records._MISSING else {"default": given.default}
        namespace[name] = dataclasses.field(repr=given.repr, compare=given.compare, **extra)
    return dataclasses.dataclass(frozen=True, slots=True)(type(cls.__name__, (), namespace))


def values_of(cls):
    return {name: f"value of {name}" for name in cls._record_options}


def test_the_models_are_records():
    assert models.ObjectInfo in RECORDS
    assert len(RECORDS) > 20


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
class TestLikeDataclasses:
    def test_signature_and_fields(self, cls):
        twin = twin_of(cls)
        assert inspect.signature(cls) == inspect.signature(twin)
        assert cls.__match_args__ == twin.__match_args__
        assert cls.__slots__ == twin.__slots__
        assert dataclasses.is_dataclass(cls)
        found = [
            (each.name, each.default, each.repr, each.compare) for each in dataclasses.fields(cls)
        ]
        due = [
            (each.name, each.default, each.repr, each.compare) for each in dataclasses.fields(twin)
        ]
        assert found == due

    def test_repr_equality_and_hash(self, cls):
        twin, values = twin_of(cls), values_of(cls)
        one = cls(**values)
        if "__repr__" not in inspect.getsource(cls):
            assert repr(one) == repr(twin(**values))
        assert one == cls(*values.values())
        assert hash(one) == hash(twin(**values))
        assert one != twin(**values)
        for name, given in cls._record_options.items():
            assert (one == cls(**{**values, name: "another"})) is not given.compare

    def test_defaults(self, cls):
        twin = twin_of(cls)
        due = [
            each.name for each in dataclasses.fields(twin) if each.default is dataclasses.MISSING
        ]
        one, other = (each(**dict.fromkeys(due, "given")) for each in (cls, twin))
        assert dataclasses.asdict(one) == dataclasses.asdict(other)
        if due:
            with pytest.raises(TypeError, match=due[0]):
                cls()
        with pytest.raises(TypeError, match="unknown"):
            cls(**dict.fromkeys(due, "given"), unknown=1)

    def test_it_is_frozen(self, cls):
        one = cls(**values_of(cls))
        name = next(iter(cls._record_options))
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, name, "another")
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(one, name)
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.unknown = 1
        assert not hasattr(one, "__dict__")

    def test_copies(self, cls):
        one = cls(**values_of(cls))
        assert pickle.loads(pickle.dumps(one)) == one
        assert copy.deepcopy(one) == one
        name = next(iter(cls._record_options))
        changed = dataclasses.replace(one, **{name: "another"})
        assert getattr(changed, name) == "another"
        assert dataclasses.asdict(changed) == {**values_of(cls), name: "another"}
        assert one.__replace__(**{name: "another"}) == changed


def test_a_subclass_may_add_attributes():
    class Named(models.BucketInfo):
        pass

    one: Any = Named("bucket")
    one.extra = 1
    assert one.extra == 1
    del one.extra
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "another"
    assert [each.name for each in dataclasses.fields(Named)] == ["name", "creation_date", "region"]


def test_a_mutable_default_is_refused():
    with pytest.raises(ValueError, match="mutable default of items"):

        @records.record(frozen=True, slots=True)
        class Broken:
            items: list[int] = []


def test_what_is_no_record_is_refused():
    with pytest.raises(TypeError, match="frozen"):
        records.record(frozen=False, slots=True)
