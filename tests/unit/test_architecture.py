"""The layers: imports go downwards only, and importing s3po does nothing."""

from __future__ import annotations

import ast
import functools
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import s3po

ROOT = Path(s3po.__file__).parent
MODULES = {
    ".".join(("s3po", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}

LAYERS = {
    **dict.fromkeys(
        (
            "errors",
            "messages",
            "models",
            "config",
            "stats",
            "log",
            "checksums",
            "xml",
            "forks",
            "patterns",
            "postponed",
            "providers",
            "records",
        ),
        0,
    ),
    "transport": 1,
    "sigv4": 2,
    "credentials": 2,
    "retry": 3,
    "endpoint": 3,
    "auth": 3,
    "rest": 4,
    "transfer": 5,
    "file": 5,
    "paths": 5,
    "connection": 6,
    "batch": 6,
    "cluster": 6,
    "fs": 7,
    "contrib": 7,
    "slim": 8,
    "cli": 8,
    "__main__": 8,
}
#: Of two packages of one layer, the first may use the second.
PEERS = {
    ("file", "transfer"),
    ("connection", "batch"),
    ("connection", "cluster"),
    ("cluster", "batch"),
    ("__main__", "cli"),
}
#: Packages of extras: their modules can be imported only where these are installed.
EXTRAS = {"fs": "fsspec", "contrib": "django"}
#: Packages beside the layers, and all that they may import of them.
INDEPENDENT = {
    # It writes its own documents and signatures: a bug that it shared with the client could not be seen.
    "mock": {"errors", "config", "checksums", "xml", "models", "log"},
    "pytest_plugin": {"connection", "mock"},
}
#: The imports of independent packages that are allowed: the API hands out mocks, the command line serves one; both load
#: them when they do.
ENTRY_POINTS = {("connection", "mock"), ("cli", "mock")}

#: Third-party packages, and the only modules that may import them.
ALLOWED_IMPORTS = {
    "botocore": ("s3po.sigv4.auth",),
    "requests": ("s3po.transport", "s3po.auth"),
    "urllib3": ("s3po.transport", "s3po.retry"),
    "gevent.socket": ("s3po.transport",),
    "gevent.ssl": ("s3po.transport",),
    "gevent.monkey": ("s3po.transport",),
}


@functools.cache
def imports_of(module: str) -> list[tuple[str, int]]:
    """What a module imports, for the type checker too, and at which line."""
    found = []
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide the way"
            assert node.module is not None
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def all_imports() -> Iterator[tuple[str, str, str]]:
    """Each import: by which module, of what, and where."""
    for module in MODULES:
        for name, line in imports_of(module):
            yield module, name, f"{module}:{line} imports {name}"


def package_of(name: str) -> str:
    """`s3po.rest.codec.parse_error` is of the package `rest`; `s3po` itself is ''."""
    return [*name.split("."), ""][1]


def test_every_package_has_a_layer() -> None:
    packages = {package_of(module) for module in MODULES} - {""}
    assert packages <= {*LAYERS, *INDEPENDENT}, "a new package needs a layer"


def test_imports_go_downwards() -> None:
    for module, name, where in all_imports():
        package, target = package_of(module), package_of(name)
        # `s3po/__init__.py` names everything, and loads it when it is asked for; anybody may ask for its
        # version.
        if name.partition(".")[0] != "s3po" or not package or target in ("", package):
            continue
        if target not in {*LAYERS, *INDEPENDENT}:
            assert package in INDEPENDENT, (
                f"{where}: only independent packages import the public names"
            )
        elif package in INDEPENDENT:
            assert target in INDEPENDENT[package], where
        elif target in INDEPENDENT:
            assert (package, target) in ENTRY_POINTS, where
        else:
            assert (
                LAYERS[target] < LAYERS[package]
                or LAYERS[target] == LAYERS[package] == 0
                or (package, target) in PEERS
            ), where


def modules_imported_by(module: str) -> set[str]:
    """The modules of s3po that a module imports: at its top, in functions, for the type checker."""
    imported = set()
    for name, _ in imports_of(module):
        target = name if name in MODULES else name.rpartition(".")[0]
        # `s3po/__init__.py` names everything for type checkers; who imports it wants the version.
        if target in MODULES and target not in ("s3po", module):
            imported.add(target)
    return imported


def find_cycles() -> set[frozenset[str]]:
    """The strongly connected components of more than one module (Tarjan's algorithm)."""
    graph = {module: modules_imported_by(module) for module in MODULES}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    cycles = set()

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in graph[module]:
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            component = set()
            while module not in component:
                component.add(stack.pop())
            if len(component) > 1:
                cycles.add(frozenset(component))

    for module in graph:
        if module not in index:
            visit(module)
    return cycles


def test_no_cycles() -> None:
    found = find_cycles()
    assert [sorted(cycle) for cycle in found] == []


def test_third_party_imports() -> None:
    for module, name, where in all_imports():
        for library, allowed in ALLOWED_IMPORTS.items():
            if name == library or name.startswith(f"{library}."):
                inside = any(module == each or module.startswith(f"{each}.") for each in allowed)
                assert inside, where
                if module == "s3po.auth":
                    assert name.startswith(("requests.auth.", "requests.models.")), where
                if module == "s3po.retry":
                    assert name.startswith(("urllib3.util", "urllib3.exceptions")), where


def test_one_module_of_botocore_is_used() -> None:
    for _, name, where in all_imports():
        if name.partition(".")[0] == "botocore":
            assert name.startswith("botocore.auth."), where


def test_names_of_the_package() -> None:
    assert list(s3po.__all__) == sorted(s3po.__all__)
    assert len(set(s3po.__all__)) == len(s3po.__all__)
    for name in s3po.__all__:
        assert getattr(s3po, name) is not None
    assert set(s3po.__all__) <= set(dir(s3po))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        s3po.Nothing  # type: ignore[attr-defined]  # noqa: B018


def test_every_module_can_be_imported() -> None:
    for module in MODULES:
        extra = EXTRAS.get(package_of(module))
        if module.endswith("__main__") or (extra and importlib.util.find_spec(extra) is None):
            continue
        importlib.import_module(module)


QUIET = """
import sys, os, socket, ssl, threading, time
before = {(m, n): getattr(m, n) for m in (socket, ssl, threading, time, os) for n in dir(m)}
events = []

def audit(event, args):
    if event.startswith(("socket.", "subprocess.", "os.fork", "_thread.start")):
        events.append((event, args))
    elif event == "open":
        # The import system's own reading is by path below sys.path; all else is ours.
        if not str(args[0]).endswith((".py", ".pyc", ".so", ".pth", ".zip")):
            events.append((event, args))

sys.dont_write_bytecode = True
sys.addaudithook(audit)
import s3po
assert not events, events
heavy = {"requests", "urllib3", "gevent", "botocore", "xml", "ssl", "http"} & {
    name.partition(".")[0] for name in set(sys.modules) - known
}
assert not heavy, heavy
changed = [name for name, value in before.items() if getattr(*name) is not value]
assert not changed, changed
assert threading.active_count() == 1
"""


def test_warnings_are_not_printed_where_the_program_configures_no_logging() -> None:
    script = "from s3po import Connection, log; log.logger('rest').warning('a warning')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT.parent,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_import_is_quiet() -> None:
    script = QUIET.replace(
        "sys.dont_write_bytecode = True", "known = set(sys.modules)\nsys.dont_write_bytecode = True"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT.parent,
    )
    assert done.returncode == 0, done.stderr
