"""`python -m s3po.slim`: what s3po never uses of its dependencies; with `--apply` it is deleted.

botocore keeps the modules that s3po's own imports reach, and loses
the others and its data, the descriptions of all of AWS. The other dependencies lose the tests and
the C sources that they ship, and dateutil its copy of the system's time zones. Of a package only files go that its RECORD names as installed, and the
byte code beside them. RECORD itself is left as it is: pip can still uninstall, upgrade and
reinstall what was slimmed.
"""

from __future__ import annotations

import argparse
import ast
import csv
import os
import re
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path, PurePosixPath

__all__ = ["Findings", "Removal", "Surplus", "find", "main", "remove"]

DATA = "data: services of AWS, CA bundle"
MODULES = "modules that signing does not reach"
TESTS = "tests"
SOURCES = "C sources and headers"
ZONES = "time zones"

#: Suffixes of what a compiler reads and Python does not.
_SOURCES = frozenset(
    (".asm", ".c", ".cc", ".cmd", ".cpp", ".h", ".hh", ".hpp", ".obj", ".pxd", ".pxi", ".pyx")
)
#: Where that is so. cffi, which gevent may bring along, reads its headers when it runs.
_COMPILED = frozenset(("gevent", "greenlet", "zope-event", "zope-interface"))
#: dateutil reads it for a zone that the system has not; botocore's times are local or UTC.
_ZONES = PurePosixPath("dateutil/zoneinfo/dateutil-zoneinfo.tar.gz")

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True, slots=True)
class Surplus:
    """Files of a dependency that s3po never uses.

    Attributes:
        owner: Name of the dependency.
        what: Kind of the files.
        files: Their paths.
        size: Bytes on disk, as `du` counts them.
        needed_by: Distributions beside s3po that need them.
    """

    owner: str
    what: str
    files: tuple[Path, ...]
    size: int
    needed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """Result of `find`.

    Attributes:
        surplus: Files that may be deleted, the largest first.
        others: Dependencies that cannot be slimmed: the system's, or of another environment.
    """

    surplus: tuple[Surplus, ...]
    others: tuple[str, ...]


@dataclass(slots=True)
class Removal:
    """Result of `remove`.

    Attributes:
        files: Number of files that were deleted.
        size: Their bytes on disk.
        failures: Errors of files that could not be deleted.
    """

    files: int = 0
    size: int = 0
    failures: list[OSError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Requirement:
    name: str
    extras: frozenset[str]
    """Required with one of these only; without any, always."""
    depends: bool
    """On the Python or the system, too."""


class _Package:
    """An installed distribution."""

    def __init__(self, distribution: metadata.Distribution, name: str) -> None:
        self.name = name
        self.root = Path(str(distribution.locate_file("")))
        self.requirements = [_parse_requirement(each) for each in distribution.requires or ()]
        #: Installers that write no RECORD (Debian's) do not allow others to delete files.
        self.record = distribution.read_text("RECORD")

    def files(self) -> Iterator[PurePosixPath]:
        """Files that an installer put into its packages and that are there. Byte code is not among them."""
        folders: dict[PurePosixPath, bool] = {}
        for row in csv.reader((self.record or "").splitlines()):
            path = PurePosixPath(row[0] if row else "")
            # Scripts are elsewhere, and a single module at the top has nothing to lose.
            if len(path.parts) < 2 or path.is_absolute() or ".." in path.parts:
                continue
            if path.parts[0].endswith((".dist-info", ".data")) or "__pycache__" in path.parts:
                continue
            above = [*path.parents][:-1]
            for folder in above:
                if folder not in folders:
                    folders[folder] = _is_folder(self.root / folder)
            # A symlink may lead to what others use.
            if all(folders[each] for each in above) and _is_file(self.root / path):
                yield path

    def need_of(self, owner: str, installed: Iterable[str]) -> str | None:
        """Return its name if it requires the owner, with the extra if that is how."""
        extras: dict[str, list[_Requirement]] = {}
        for each in self.requirements:
            if each.name == owner and not each.extras:
                return self.name
            for extra in each.extras:
                extras.setdefault(extra, []).append(each)
        present = {*installed}
        for extra, required in sorted(extras.items()):
            # The metadata does not contain the requested extras. One counts if all that it names is here:
            # better to keep some megabytes than to break a program.
            if any(each.name == owner for each in required) and all(
                each.name in present for each in required if not each.depends
            ):
                return f"{self.name}[{extra}]"
        return None

    def imports_one_of(self, modules: Iterable[str]) -> bool:
        """Return True if its code imports one of them."""
        for path in self.files():
            if path.suffix == ".py":
                source = self.root.joinpath(path).read_bytes()
                for module in modules:
                    # Parsing is slow, and few files contain all names of a module.
                    if all(name.encode() in source for name in module.split(".")) and any(
                        f"{name}.".startswith(f"{module}.") for name in _imports(source, "")
                    ):
                        return True
        return False


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _parse_requirement(text: str) -> _Requirement:
    requirement, _, marker = text.partition(";")
    name = _NAME.match(requirement)
    extras = frozenset(_EXTRA.findall(marker))
    # Other conditions are assumed to be true, which is the safe choice.
    depends = bool(extras) and bool(_EXTRA.sub("", marker).strip(" ()"))
    return _Requirement(_canonical(name[1]) if name else "", extras, depends)


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def _imports(source: bytes, package: str) -> Iterator[str]:
    """All that may be imported, by functions too, and parts of modules as if they were modules."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # No code of this Python's, which does not import it either.
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else ()), *filter(None, [node.module])])
            yield base
            for alias in node.names:
                yield f"{base}.{alias.name}"


def _reached(package: _Package, top: str, users: Iterable[Path]) -> set[PurePosixPath]:
    """The modules of a package that its users' imports reach, however far and however late."""
    modules = {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path
        for path in package.files()
        if path.suffix == ".py" and path.parts[0] == top
    }
    waiting = [
        name
        for user in users
        for path in sorted(user.rglob("*.py"))
        if top.encode() in (source := path.read_bytes())
        for name in _imports(source, "")
    ]
    seen, reached = {""}, set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        # Importing a.b.c imports a and a.b.
        waiting.append(name.rpartition(".")[0])
        path = modules.get(name)
        if path is not None:
            reached.add(path)
            inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += _imports(package.root.joinpath(path).read_bytes(), inside)
    return reached


def _installed(path: Sequence[str] | None) -> dict[str, _Package]:
    found: dict[str, _Package] = {}
    everywhere = metadata.distributions()
    for each in everywhere if path is None else metadata.distributions(path=[*path]):
        for name in each.metadata.get_all("Name") or ():
            found.setdefault(_canonical(name), _Package(each, name))
    return found


def _dependencies(installed: dict[str, _Package]) -> list[str]:
    """All that s3po needs to run, the nearest first; s3po itself is not among them."""
    found = ["s3po"]
    for name in found:
        for each in installed[name].requirements:
            if not each.extras and each.name in installed and each.name not in found:
                found.append(each.name)
    return found[1:]


def _is_of_this_environment(package: _Package) -> bool:
    """Return False for system packages that are visible in a virtual environment: other programs may use them."""
    prefix = Path(sys.prefix).resolve()
    return sys.prefix == sys.base_prefix or package.root.resolve().is_relative_to(prefix)


def _sort(package: _Package, owner: str, s3po: Path) -> dict[str, list[PurePosixPath]]:
    """The files of a package that s3po never uses, by what they are."""
    found: dict[str, list[PurePosixPath]] = {}
    # The s3po that runs and the one that is slimmed may be of two versions.
    users = {Path(__file__).parent, s3po}
    reached = _reached(package, "botocore", users) if owner == "botocore" else set()
    for path in package.files():
        folders = path.parts[1:-1]
        if "tests" in folders or path.parts[:2] == ("gevent", "testing"):
            what = TESTS
        elif path.suffix in _SOURCES and owner in _COMPILED:
            what = SOURCES
        elif path == _ZONES:
            what = ZONES
        elif path.parts[0] != "botocore" or not reached or path in reached:
            # Where s3po has no sources to read, nothing is certain.
            continue
        elif path.suffix == ".py":
            what = MODULES
        elif path.name == "py.typed":
            continue
        else:
            what = DATA
        found.setdefault(what, []).append(path)
    return found


def _with_byte_code(path: Path) -> Iterator[Path]:
    """The file last, so that of what was interrupted nothing is forgotten."""
    folder = path.parent / "__pycache__"
    if path.suffix == ".py" and _is_folder(folder):
        # Of any Python, optimized or not.
        for each in sorted(folder.glob(f"{path.stem}.*.pyc")):
            if _is_file(each):
                yield each
    yield path


def _test_modules(paths: Iterable[PurePosixPath]) -> set[str]:
    """gevent/tests/data/cert.pem is of gevent.tests."""
    found = set()
    for path in paths:
        end = 1 + (path.parts.index("tests", 1) if "tests" in path.parts[1:] else 1)
        found.add(".".join(path.parts[:end]))
    return found


def find(path: Sequence[str] | None = None) -> Findings:
    """Find the installed files that s3po never uses.

    Args:
        path: Folders to search; those of this Python unless given.

    Returns:
        Findings: `surplus` and `others`.
    """
    installed = _installed(path)
    if "s3po" not in installed:
        raise LookupError("s3po is not installed here, so its dependencies are not known")
    dependencies = _dependencies(installed)
    strangers = [installed[name] for name in sorted({*installed} - {"s3po", *dependencies})]
    surplus, others = [], []
    for owner in dependencies:
        package = installed[owner]
        if package.record is None or (path is None and not _is_of_this_environment(package)):
            others.append(package.name)
            continue
        for what, paths in _sort(package, owner, installed["s3po"].root / "s3po").items():
            files = tuple(file for each in paths for file in _with_byte_code(package.root / each))
            size = sum(file.lstat().st_blocks * 512 for file in files)
            needed_by = _needed_by(what, paths, owner, strangers, installed)
            if what == ZONES and needed_by:
                # Not worth a refusal.
                continue
            surplus.append(Surplus(package.name, what, files, size, needed_by))
    return Findings(tuple(sorted(surplus, key=lambda each: -each.size)), tuple(others))


def _needed_by(
    what: str,
    paths: Iterable[PurePosixPath],
    owner: str,
    strangers: Iterable[_Package],
    installed: Iterable[str],
) -> tuple[str, ...]:
    if what == SOURCES:
        # What is installed has been compiled.
        return ()
    needs = {each: need for each in strangers if (need := each.need_of(owner, installed))}
    if what == TESTS:
        # Packages rarely import the tests of their requirements.
        modules = _test_modules(paths)
        needs = {each: need for each, need in needs.items() if each.imports_one_of(modules)}
    return tuple(needs.values())


def remove(surplus: Iterable[Surplus]) -> Removal:
    """Delete files, and the folders that are empty then; a failure does not stop the others.

    Args:
        surplus: Files, from `find`.

    Returns:
        Removal: `files`, `size` and `failures`.
    """
    done = Removal()
    folders: dict[Path, None] = {}
    for file in (file for each in surplus for file in each.files):
        try:
            size = file.lstat().st_blocks * 512
            file.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            done.failures.append(error)
            continue
        done.files += 1
        done.size += size
        folders[file.parent] = None
    for folder in folders:
        with suppress(OSError):
            while True:
                folder.rmdir()
                folder = folder.parent
    return done


def _unwritable(surplus: Iterable[Surplus]) -> list[Path]:
    folders = {file.parent for each in surplus for file in each.files}
    return sorted(each for each in folders if not os.access(each, os.W_OK | os.X_OK))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"


def _table(surplus: Sequence[Surplus]) -> str:
    rows = [
        (each.owner, each.what, len(each.files), each.size, ", ".join(each.needed_by))
        for each in surplus
    ]
    rows.append(("", "in all", sum(row[2] for row in rows), sum(row[3] for row in rows), ""))
    head = ("of", "what", "files", "MB", "needed by")
    cells = [head, *((of, what, f"{n:,}", _megabytes(size), by) for of, what, n, size, by in rows)]
    of, what, files, size, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
    return "\n".join(
        f"{a:{of}}  {b:{what}}  {c:>{files}}  {d:>{size}}  {e}".rstrip() for a, b, c, d, e in cells
    )


def _read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m s3po.slim",
        description="Show what s3po never uses of its installed dependencies.",
    )
    parser.add_argument(
        "--apply",
        action="store_true",
        help="delete it, unless something else that is installed needs it",
    )
    parser.add_argument(
        "--path",
        action="append",
        metavar="FOLDER",
        help="look here (as filled by `pip install --target`), not in this Python; may be repeated",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: Arguments of the command line; those of the process unless given.

    Returns:
        int: Exit status.
    """
    given = _read_arguments(arguments)
    try:
        findings = find(given.path)
    except LookupError as error:
        return _failed(error.args[0])
    surplus = findings.surplus
    if surplus:
        print(_table(surplus))
    if findings.others:
        print(f"Not installed here by pip, and left alone: {', '.join(findings.others)}.")
    if not surplus:
        print("There is nothing to delete.")
        return 0
    needs = " ".join(
        f"{owner} is needed by {', '.join(names)}." for owner, names in _needs(surplus).items()
    )
    if not given.apply:
        print(
            f"{needs} --apply would refuse." if needs else "Nothing was deleted: that is --apply."
        )
        return 0
    if needs:
        return _failed(f"nothing was deleted. {needs}")
    if unwritable := _unwritable(surplus):
        return _failed(f"nothing was deleted. No right to write in {_some(unwritable)}.")
    done = remove(surplus)
    owners = " ".join(dict.fromkeys(each.owner for each in surplus))
    print(f"Deleted {done.files:,} files, which frees {_megabytes(done.size)} MB.")
    # pip takes what is slim for installed, also when it installs boto3 beside it.
    print(f"To have them back: pip install --force-reinstall --no-deps {owners}")
    return _failed(f"not deleted: {_some(done.failures)}") if done.failures else 0


def _failed(why: str) -> int:
    print(f"s3po.slim: {why}", file=sys.stderr)
    return 1


def _needs(surplus: Iterable[Surplus]) -> dict[str, dict[str, None]]:
    """Owner -> packages that need something of it, each once."""
    found: dict[str, dict[str, None]] = {}
    for each in surplus:
        if each.needed_by:
            found.setdefault(each.owner, {}).update(dict.fromkeys(each.needed_by))
    return found


def _some(things: Sequence[object]) -> str:
    more = f" (and {len(things) - 1} more)" if len(things) > 1 else ""
    return f"{things[0]}{more}"


if __name__ == "__main__":
    sys.exit(main())
