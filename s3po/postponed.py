"""`postpone`: modules of other packages that are executed when something of them is used for the first time.

requests and urllib3 import two packages for what s3po does not do, charset detection and HTTP/2: some 4
MiB of memory at the first object. Until then `sys.modules` has the module itself, with its name, spec and
loader, as with `importlib.util.LazyLoader`; nothing of it was executed, and the first attribute that it
lacks executes it.

That class is not used for two reasons: before Python 3.12 two threads could execute a module at once, and it
executes a package for the sake of a submodule or of the version, for which requests and urllib3 ask.

The modules of these packages do not access their package during their import. Otherwise a thread that
imports such a module could deadlock with another thread that executes the package and needs that module.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

#: By name of a module, those attributes that submodules have: "" is the submodule itself.
_SUBMODULES: dict[str, dict[str, str]] = {
    "charset_normalizer": {"__version__": "version"},
    "urllib3.http2": {"probe": ""},
}
_lock = threading.RLock()
_executing: set[str] = set()


class _Postponed(ModuleType):
    """A module that was not executed yet."""

    def __getattr__(self, name: str) -> Any:
        # Both exist: Python looks for them first.
        own: str = self.__name__
        _tell_parent(self)
        submodule = _SUBMODULES[own].get(name)
        if submodule is not None:
            found = _find_in_submodule(own, submodule, name)
            if found is not None:
                return found
        with _lock:
            # Else another thread did it meanwhile, or this one is about to.
            if type(self) is _Postponed and own not in _executing:
                _execute(self)
        return ModuleType.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        with _lock:
            if type(self) is _Postponed and self.__name__ not in _executing:
                _execute(self)
        return sorted(self.__dict__)


def _execute(module: ModuleType) -> None:
    name = module.__name__
    _executing.add(name)
    try:
        module.__spec__.loader.exec_module(module)  # type: ignore[union-attr]
        module.__class__ = ModuleType
    finally:
        _executing.discard(name)


def _find_in_submodule(package: str, submodule: str, name: str) -> Any:
    """The attribute of a package, without executing the package; None if this version has none."""
    from importlib import import_module

    try:
        found = import_module(f"{package}.{submodule or name}")
    except ImportError:
        return None
    return found if not submodule else getattr(found, name, None)


def _tell_parent(module: ModuleType) -> None:
    """Make the module an attribute of its package, which importing it would have done."""
    package, _, name = module.__name__.rpartition(".")
    parent = sys.modules.get(package)
    if parent is not None and name not in parent.__dict__:
        setattr(parent, name, module)


def postpone(*names: str) -> None:
    """Put modules into `sys.modules` that are executed when something of them is used.

    Packages that are already imported, not installed, or not Python files are not changed.

    Args:
        *names: Names of modules, of `_SUBMODULES`.
    """
    for name in names:
        package = name.rpartition(".")[0]
        if name in sys.modules:
            continue
        try:
            if package:
                outer = find_spec(package)
                path = outer.submodule_search_locations if outer is not None else None
                spec = PathFinder.find_spec(name, path) if path is not None else None
            else:
                spec = find_spec(name)
        except (ImportError, ValueError):
            continue
        if spec is None or type(spec.loader) is not SourceFileLoader:
            continue
        module = module_from_spec(spec)
        module.__class__ = _Postponed
        if sys.modules.setdefault(name, module) is module:
            _tell_parent(module)


def _after_fork() -> None:
    """Forget what other threads did, which are not in this process."""
    global _lock
    _lock = threading.RLock()
    _executing.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
