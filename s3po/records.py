"""`record`: a class decorator that gives what `@dataclass(frozen=True, slots=True)` gives, at a tenth of its time.

Of its arguments it takes `kw_only` and `eq`; `__post_init__` is called, base classes without fields are kept.

dataclasses writes and compiles six methods for each class, which was a tenth of the time from the start of a
process to its first object. Here the methods are shared, and `__init__` is made when the first instance is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, FrozenInstanceError, field
from operator import attrgetter
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform, overload

from s3po.log import hide

#: Metadata of a field whose text no traceback must show: `field(repr=False, metadata=SECRET)`.
SECRET = {"secret": True}

T = TypeVar("T")

_set = object.__setattr__


class _Lazy:
    """Class attribute that is read from the dataclass of the same fields, which is created on access."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type[Record]) -> Any:
        owner = _find_record(owner)
        found = owner._dataclass
        if found is None:
            namespace = {"__annotations__": owner.__annotations__, "__module__": owner.__module__}
            # Without one dataclasses imports `inspect`.
            namespace["__doc__"] = owner.__doc__ or owner.__name__
            made = type(owner.__name__, (), {**namespace, **owner._defaults})
            found = owner._dataclass = dataclasses.dataclass(
                frozen=True, eq=owner.__eq__ is Record.__eq__, kw_only=owner._by_keyword
            )(made)
        if self._name == "__signature__":
            from inspect import signature

            return signature(found)
        return getattr(found, self._name)


class Record:
    """Base class of records: their shared methods."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]]
    _by_keyword: ClassVar[bool]
    _names: ClassVar[tuple[str, ...]]
    _defaults: ClassVar[dict[str, Any]]
    _dataclass: ClassVar[Any]
    _shown: ClassVar[tuple[str, ...]]
    _compared: ClassVar[Any]

    # For `dataclasses.fields`, `replace`, `asdict`, and `inspect.signature`.
    __dataclass_fields__: ClassVar[Any] = _Lazy("__dataclass_fields__")
    __dataclass_params__: ClassVar[Any] = _Lazy("__dataclass_params__")
    __signature__: ClassVar[Any] = _Lazy("__signature__")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls = _find_record(type(self))
        made = cls.__init__ = _make_init(cls)  # type: ignore[method-assign]
        made(self, *args, **kwargs)

    def __repr__(self) -> str:
        fields = ", ".join([f"{name}={getattr(self, name)!r}" for name in self._shown])
        return f"{type(self).__qualname__}({fields})"

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        compared = self._compared
        return bool(compared(self) == compared(other))

    def __hash__(self) -> int:
        return hash(self._compared(self))

    def __setattr__(self, name: str, value: object) -> None:
        if name in self._names or "_dataclass" in type(self).__dict__:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        _set(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._names or "_dataclass" in type(self).__dict__:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def __getstate__(self) -> list[Any]:
        return [getattr(self, name) for name in self._names]

    def __setstate__(self, state: Iterable[Any]) -> None:
        for name, value in zip(self._names, state, strict=False):
            _set(self, name, value)


def _find_record(cls: type[Record]) -> type[Record]:
    """The record that a class is, or is derived from."""
    return next(each for each in cls.__mro__ if "_dataclass" in each.__dict__)


@overload
def record(cls: type[T], /) -> type[T]: ...
@overload
def record(*, kw_only: bool = False, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T] | None = None, /, *, kw_only: bool = False, eq: bool = True) -> Any:
    """Make a class of fields with annotations a record: frozen, slotted, equal by its fields.

    With `kw_only` its fields are given by name; without `eq` it is equal to itself alone.
    """
    if cls is None:
        return lambda cls: _make_record(cls, kw_only, eq)
    return _make_record(cls, kw_only, eq)


def _make_record(cls: type[T], kw_only: bool, eq: bool) -> type[T]:
    names = tuple(cls.__annotations__)
    namespace = dict(cls.__dict__)
    for name in ("__dict__", "__weakref__"):
        namespace.pop(name, None)
    defaults = {name: namespace.pop(name) for name in names if name in namespace}
    described = {name: value for name, value in defaults.items() if isinstance(value, Field)}
    hidden = {name for name, value in described.items() if not value.repr}
    ignored = {name for name, value in described.items() if value.compare is False}
    namespace.update(
        __slots__=names,
        __match_args__=() if kw_only else names,
        __qualname__=cls.__qualname__,
        _by_keyword=kw_only,
        _names=names,
        _defaults=defaults,
        _dataclass=None,
        _shown=tuple([name for name in names if name not in hidden]),
        _compared=attrgetter(*[name for name in names if name not in ignored]),
    )
    if not eq:
        namespace.update(__eq__=object.__eq__, __hash__=object.__hash__)
    bases = [base for base in cls.__bases__ if base is not object]
    made: type[T] = type(cls.__name__, (*bases, Record), namespace)
    if any("secret" in value.metadata for value in described.values()):
        # That of Record would show the arguments of the first instance in a traceback.
        cast(Any, made).__init__ = _make_init(cast(Any, made))
    return made


def _make_init(cls: type[Record]) -> Any:
    """`__init__` of a record's fields, as dataclasses makes it."""
    values = {
        name: value.default if isinstance(value, Field) else value
        for name, value in cls._defaults.items()
    }
    defaults = {f"_{name}": value for name, value in values.items() if value is not MISSING}
    factories = {
        name: value.default_factory
        for name, value in cls._defaults.items()
        if isinstance(value, Field) and value.default_factory is not MISSING
    }
    defaults.update({f"_{name}": MISSING for name in factories})
    names = cls._names
    parameters = [f"{name}=_{name}" if f"_{name}" in defaults else name for name in names]
    if cls._by_keyword:
        parameters.insert(0, "*")
    # By the slots' descriptors: `__setattr__` raises, and `object.__setattr__` looks them up each time.
    lines = [f" if {name} is _missing: {name} = _make_{name}()" for name in factories]
    lines += [
        f" {name} = _hide({name})"
        for name, value in cls._defaults.items()
        if isinstance(value, Field) and "secret" in value.metadata
    ]
    lines += [f" _set_{name}(self, {name})" for name in names]
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    setters = {f"_set_{name}": cls.__dict__[name].__set__ for name in names}
    scope: dict[str, Any] = {**defaults, **setters, "_missing": MISSING, "_hide": hide}
    scope.update({f"_make_{name}": factory for name, factory in factories.items()})
    exec(f"def __init__(self, {', '.join(parameters)}):\n" + "\n".join(lines), scope)
    made = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made
