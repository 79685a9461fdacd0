"""`postpone`: modules of other packages that are executed when something of them is used for the first time.

requests and urllib3 import two packages for what s3po does not do, charset detection and HTTP/2: some 4
MiB of memory at the first object. Until then `sys.modules` has the module itself, with its name, spec and
loader, as with `importlib.util.LazyLoader`; nothing of it was executed, and the first attribute that it
lacks executes it. The command line postpones more, in its own process.

That class is not used for two reasons: before Python 3.12 two threads could execute a module at once, and it
executes a package for the sake of a submodule or of the version, for which requests and urllib3 ask.

The modules that a postponed one imports do not access it during their import. Otherwise a thread that
imports such a module could deadlock with another thread that executes the postponed one and needs that module.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

#: By name of a module, those attributes that submodules have: "" is the submodule itself.
_SUBMODULES: dict[str, dict[str, str]] = {
    "charset_normalizer": {"__version__": "version"},
    "urllib3.http2": {"probe": ""},
}
#: One for each module: while one is executed, another thread may need another one for an import of it.
_locks: dict[str, threading.RLock] = {}
_executing: set[str] = set()


class _Postponed(ModuleType):
    """A module that was not executed yet."""

    def __getattr__(self, name: str) -> Any:
        # Both exist: Python looks for them first.
        own: str = self.__name__
        if name == "__path__":
            # The import system asks each module for it; packages have it.
            raise AttributeError(name)
        _tell_parent(self)
        submodule = _SUBMODULES.get(own, {}).get(name)
        if submodule is not None:
            found = _find_in_submodule(own, submodule, name)
            if found is not None:
                return found
        _execute(self)
        return ModuleType.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        _execute(self)
        return sorted(self.__dict__)


def _execute(module: ModuleType) -> None:
    name = module.__name__
    with _locks[name]:
        # Else another thread did it meanwhile, or this one is about to.
        if type(module) is not _Postponed or name in _executing:
            return
        _executing.add(name)
        try:
            module.__spec__.loader.exec_module(module)  # type: ignore[union-attr]
            module.__class__ = ModuleType  # type: ignore[assignment]
        finally:
            _executing.discard(name)


def _find_in_submodule(package: str, submodule: str, name: str) -> Any:
    """The attribute of a package, without executing the package; None if this version has none."""
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


def postpone(*names: str, **attributes: Any) -> None:
    """Put modules into `sys.modules` that are executed when something of them is used.

    Modules that are already imported, not installed, or not Python files are not changed.

    Args:
        *names: Names of modules.
        **attributes: Attributes that the modules have before they are executed.
    """
    for name in names:
        if name in sys.modules:
            continue
        package = name.rpartition(".")[0]
        # The module becomes an attribute of its package. Those of `_SUBMODULES` are imported by their package.
        if package and name not in _SUBMODULES:
            try:
                import_module(package)
            except ImportError:
                continue
        spec = _find_spec(name)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            continue
        module = module_from_spec(spec)
        module.__dict__.update(attributes)
        module.__class__ = _Postponed
        _locks.setdefault(name, threading.RLock())
        if sys.modules.setdefault(name, module) is module:
            _tell_parent(module)


def postpone_functions(name: str, *functions: str) -> None:
    """Postpone a module from which others import these functions, which execute it when they are called."""
    postpone(name, **{function: _forward(name, function) for function in functions})


def _forward(module: str, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        found = sys.modules[module]
        if type(found) is _Postponed:
            _execute(found)
        return getattr(found, name)(*arguments, **keywords)

    call.__name__ = call.__qualname__ = name
    call.__module__ = module
    return call


def _find_spec(name: str) -> ModuleSpec | None:
    """The spec of a module by the finders of this process. Packages around it are not imported."""
    spec: ModuleSpec | None = None
    path: Sequence[str] | None = None
    package = ""
    for part in name.split("."):
        if spec is not None:
            path = spec.submodule_search_locations
            if path is None:
                return None
        package = f"{package}.{part}" if package else part
        for finder in sys.meta_path:
            spec = finder.find_spec(package, path)
            if spec is not None:
                break
        else:
            return None
    return spec


def _after_fork() -> None:
    """Forget what other threads did, which are not in this process."""
    for name in _locks:
        _locks[name] = threading.RLock()
    _executing.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
