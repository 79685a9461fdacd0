"""Frozen classes with slots, as `dataclass(frozen=True, slots=True)` makes them, for less at the start.

`dataclasses` compiles six functions for each class, which for the two dozen of `models` is a tenth of what
the start of a command costs. Here one is compiled, `__init__`; the others are shared. `dataclasses.fields`,
`replace`, `asdict` and `is_dataclass` work as ever: what they read is made when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["field", "record"]

_T = TypeVar("_T", bound=type)

_MISSING: Any = object()


class _Field:
    """Default and options of a field, until its class is made."""

    __slots__ = ("compare", "default", "repr")

    def __init__(self, default: Any, repr: bool, compare: bool) -> None:  # noqa: A002
        self.default = default
        self.repr = repr
        self.compare = compare


def field(*, default: Any = _MISSING, repr: bool = True, compare: bool = True) -> Any:  # noqa: A002
    """Declare options of a field, as `dataclasses.field` does."""
    return _Field(default, repr, compare)


def record(*, frozen: bool, slots: bool) -> Callable[[_T], _T]:
    """Make a frozen class with slots of one with annotations. `frozen` and `slots` must be True.

    A default that is a list, dict or set raises ValueError, as in a dataclass.
    """
    if not (frozen and slots):
        raise TypeError("a record is frozen and has slots")
    return _make


def _make(cls: Any) -> Any:
    # Its own only: it has no bases but object.
    names = tuple(cls.__annotations__)
    namespace = dict(cls.__dict__)
    options: dict[str, _Field] = {}
    for name in names:
        given = namespace.pop(name, _MISSING)
        if not isinstance(given, _Field):
            given = _Field(given, True, True)
        if isinstance(given.default, (list, dict, set)):
            raise ValueError(f"mutable default of {name}")
        options[name] = given
    namespace.pop("__dict__", None)
    namespace.pop("__weakref__", None)
    namespace["__slots__"] = names
    namespace["__match_args__"] = names
    namespace["_record_options"] = options
    namespace["_record_shown"] = tuple(name for name in names if options[name].repr)
    namespace["_record_compared"] = tuple(name for name in names if options[name].compare)
    namespace.setdefault("__repr__", _repr)
    namespace.setdefault("__eq__", _eq)
    if namespace.get("__hash__") is None:
        namespace["__hash__"] = _hash
    namespace["__setattr__"] = _refuse_set
    namespace["__delattr__"] = _refuse_delete
    namespace.setdefault("__getstate__", _get_state)
    namespace.setdefault("__setstate__", _set_state)
    namespace["__replace__"] = _replace
    namespace["__dataclass_fields__"] = _OnDemand("__dataclass_fields__")
    namespace["__dataclass_params__"] = _OnDemand("__dataclass_params__")
    qualname = cls.__qualname__
    made = type(cls)(cls.__name__, cls.__bases__, namespace)
    made.__qualname__ = qualname
    made.__init__ = _compile_init(made, names, options)
    return made


def _compile_init(cls: Any, names: tuple[str, ...], options: dict[str, _Field]) -> Any:
    """`__init__`, which sets the slots by their descriptors: `__setattr__` refuses."""
    scope: dict[str, Any] = {}
    parameters = []
    lines = []
    for name in names:
        scope[f"_set_{name}"] = cls.__dict__[name].__set__
        default = options[name].default
        if default is _MISSING:
            parameters.append(name)
        else:
            scope[f"_default_{name}"] = default
            parameters.append(f"{name}=_default_{name}")
        lines.append(f" _set_{name}(self, {name})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    source = f"def __init__({', '.join(('self', *parameters))}):\n" + "\n".join(lines or [" pass"])
    # The names are those of a class of ours.
    exec(source, scope)
    made = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__module__ = cls.__module__
    made.__annotations__ = {**cls.__annotations__, "return": None}
    return made


class _OnDemand:
    """Attribute that `dataclasses` reads of a class, made by it of a copy when it is first asked for."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: Any) -> Any:
        import dataclasses

        while "_record_options" not in owner.__dict__:
            owner = owner.__mro__[1]
        namespace: dict[str, Any] = {
            "__annotations__": owner.__annotations__,
            "__module__": owner.__module__,
            "__doc__": owner.__doc__,
        }
        for name, given in owner._record_options.items():
            extra = {} if given.default is _MISSING else {"default": given.default}
            namespace[name] = dataclasses.field(repr=given.repr, compare=given.compare, **extra)
        copy: Any = dataclasses.dataclass(frozen=True)(type(owner.__name__, (), namespace))
        for name in ("__dataclass_fields__", "__dataclass_params__"):
            setattr(owner, name, getattr(copy, name))
        return getattr(copy, self.name)


# Shared by all records


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._record_shown)
    return f"{self.__class__.__qualname__}({shown})"


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self._record_compared])


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _refuse(self: Any, name: str, what: str) -> None:
    """Raise FrozenInstanceError, unless `name` is an attribute that a subclass adds."""
    if "_record_options" in type(self).__dict__ or name in self._record_options:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot {what} field {name!r}")


def _refuse_set(self: Any, name: str, value: Any) -> None:
    _refuse(self, name, "assign to")
    object.__setattr__(self, name, value)


def _refuse_delete(self: Any, name: str) -> None:
    _refuse(self, name, "delete")
    object.__delattr__(self, name)


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self._record_options]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self._record_options, state, strict=True):
        object.__setattr__(self, name, value)


def _replace(self: Any, /, **changes: Any) -> Any:
    for name in self._record_options:
        if name not in changes:
            changes[name] = getattr(self, name)
    return type(self)(**changes)
