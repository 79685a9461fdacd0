"""What `python -m s3po.slim` finds and deletes, on folders that look like installations."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from s3po import slim

BOTOCORE = {
    "botocore/__init__.py": "",
    "botocore/auth.py": "def late():\n    from . import awsrequest, compat, credentials\n",
    "botocore/awsrequest.py": "from .vendored.six import moves",
    "botocore/cacert.pem": "pem",
    "botocore/client.py": "import botocore.docs",
    "botocore/compat.py": "import botocore.deep.module.name",
    "botocore/credentials.py": "import os",
    "botocore/data/endpoints.json": "{}",
    "botocore/data/s3/2006-03-01/service-2.json.gz": "{}",
    "botocore/deep/__init__.py": "",
    "botocore/deep/module.py": "",
    "botocore/deep/other.py": "",
    "botocore/docs/__init__.py": "",
    "botocore/py.typed": "",
    "botocore/vendored/__init__.py": "from .. import exceptions",
    "botocore/vendored/six.py": "",
    "botocore/exceptions.py": "",
}
BOTOCORE_GOES = {
    "botocore/cacert.pem",
    "botocore/client.py",
    "botocore/data/endpoints.json",
    "botocore/data/s3/2006-03-01/service-2.json.gz",
    "botocore/deep/other.py",
    "botocore/docs/__init__.py",
}
GEVENT = {
    "gevent/__init__.py": "",
    "gevent/_c.so": "",
    "gevent/_greenlet.pxd": "",
    "gevent/libev/corecext.c": "",
    "gevent/testing/__init__.py": "",
    "gevent/tests/__init__.py": "",
    "gevent/tests/cert.pem": "pem",
    "gevent/tests/__pycache__/__init__.cpython-311.pyc": "code",
}
GEVENT_GOES = {*GEVENT} - {"gevent/__init__.py", "gevent/_c.so"}


class Site:
    """A site-packages folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        files: Mapping[str, str] | None = None,
        requires: Sequence[str] = (),
        *,
        record: Sequence[str] | None = (),
    ) -> None:
        """With these files, and lines of RECORD beside theirs, or with no RECORD at all."""
        for path, content in (files or {}).items():
            self.write(path, content)
        info = f"{name}-1.dist-info"
        lines = [f"Name: {name}", "Version: 1", *(f"Requires-Dist: {each}" for each in requires)]
        self.write(f"{info}/METADATA", "\n".join(["Metadata-Version: 2.1", *lines, "", ""]))
        if record is not None:
            paths = [*(files or ()), f"{info}/METADATA", f"{info}/RECORD", *record]
            self.write(f"{info}/RECORD", "".join(f"{each},sha256=x,1\n" for each in paths))

    def write(self, path: str, content: str = "") -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def files(self) -> set[str]:
        """Metadata aside."""
        return {
            str(each.relative_to(self.folder))
            for each in self.folder.rglob("*")
            if not each.is_dir() and ".dist-info" not in str(each)
        }

    def run(self, *arguments: str) -> int:
        return slim.main(["--path", str(self.folder), *arguments])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "site-packages")
    site.install("s3po", requires=["botocore>=1", "gevent", "requests", 'moto; extra == "test"'])
    site.install("botocore", BOTOCORE, ["urllib3", 'awscrt==1 ; extra == "crt"'])
    site.install("gevent", GEVENT, ['greenlet; platform_python_implementation == "CPython"'])
    site.install("greenlet", {"greenlet/__init__.py": "", "greenlet/greenlet.h": ""})
    site.install("urllib3", {"urllib3/__init__.py": "", "urllib3/api.c": ""})
    site.install("six", {"six.py": ""})
    return site


GOES = {*BOTOCORE_GOES, *GEVENT_GOES, "greenlet/greenlet.h"}


def test_nothing_is_deleted_unless_asked(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.write("botocore/data/endpoints.json", "x" * 2**20)
    size = sum(site.folder.joinpath(each).stat().st_blocks * 512 for each in GOES)
    before = site.files()
    assert site.run() == 0
    assert site.files() == before
    output = capsys.readouterr().out
    assert "Nothing was deleted" in output
    rows = [line.split() for line in output.splitlines()]
    assert rows[0] == ["of", "what", "files", "MB", "needed", "by"]
    assert ["greenlet", *slim.SOURCES.split(), "1", "0.0"] in rows
    assert ["in", "all", str(len(GOES)), f"{size / 1e6:.1f}"] in rows


def test_the_time_zones_of_dateutil_go_unless_another_package_needs_them(site: Site) -> None:
    files = ["dateutil/tz/__init__.py", "dateutil/zoneinfo/__init__.py"]
    zones = "dateutil/zoneinfo/dateutil-zoneinfo.tar.gz"
    site.install("python-dateutil", dict.fromkeys([*files, zones], ""))
    site.install("botocore", BOTOCORE, ["python-dateutil>=2"])
    site.install("calendars", {"calendars/__init__.py": "import dateutil"}, ["python-dateutil"])
    assert site.run("--apply") == 0
    assert zones in site.files()
    shutil.rmtree(site.folder / "calendars-1.dist-info")
    assert site.run("--apply") == 0
    assert zones not in site.files()
    assert site.files().issuperset(files)


def test_what_is_never_used_goes(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    before = site.files()
    assert site.run("--apply") == 0
    assert before - site.files() == GOES
    output = capsys.readouterr().out
    assert f"Deleted {len(GOES)} files" in output
    assert output.endswith("pip install --force-reinstall --no-deps botocore gevent greenlet\n")
    for folder in ("botocore/data", "botocore/docs", "gevent/tests", "gevent/libev"):
        assert not (site.folder / folder).exists(), "an empty folder still can be imported"

    after = site.files()
    assert site.run("--apply") == 0
    assert site.files() == after
    assert "nothing to delete" in capsys.readouterr().out


def test_who_needs_it_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.install("Boto_3", requires=["BotoCore (>=1,<2)", "six"])
    site.install("s3transfer", requires=["botocore[crt]>=1; python_version >= '3'"])
    before = site.files()
    assert site.run("--apply") == 1
    assert site.files() == before, "all or nothing"
    output = capsys.readouterr()
    assert output.err == (
        "s3po.slim: nothing was deleted. botocore is needed by Boto_3, s3transfer.\n"
    )
    assert site.run() == 0
    assert "--apply would refuse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("requires", "needs"),
    [
        (["boto-core", "botocore-stubs"], None),
        (["botocore"], "app"),
        (["botocore @ https://localhost/botocore.whl ; os_name == 'nt'"], "app"),
        (['botocore; extra == "s3"'], "app[s3]"),
        (['botocore; extra == "s3"', 'six; (extra == "s3")'], "app[s3]"),
        # Had this extra been asked for, aiohttp would be here.
        (['botocore; extra == "s3"', 'aiohttp; extra == "s3"'], None),
        # Perhaps another Python's.
        (['botocore; extra == "s3"', 'aiohttp; python_version < "3" and extra == "s3"'], "app[s3]"),
        (['botocore; extra == "a" or extra == "b"', 'aiohttp; extra == "a"'], "app[b]"),
        (['six; extra == "s3"'], None),
    ],
)
def test_requirements(site: Site, requires: Sequence[str], needs: str | None) -> None:
    site.install("app", requires=requires)
    for each in slim.find([str(site.folder)]).surplus:
        expected = (needs,) if needs and each.owner == "botocore" else ()
        assert each.needed_by == expected


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        ("import gevent\n# gevent.testing has a switch for it", False),
        ("import gevent.testing as t", True),
        ("from gevent import monkey, testing", True),
        ("def test():\n    from gevent.tests.lock import x", True),
        ("from gevent import testing_of_ours", False),
        ("print 'gevent.testing'", False),
    ],
)
def test_tests_are_needed_by_who_imports_them(site: Site, source: str, needs: bool) -> None:
    site.install("app", {"app/__init__.py": source}, ["gevent"])
    for each in slim.find([str(site.folder)]).surplus:
        expected = ("app",) if needs and (each.owner, each.what) == ("gevent", slim.TESTS) else ()
        assert each.needed_by == expected


def test_only_what_was_installed_goes(site: Site, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    kept = [
        # Not in RECORD.
        site.write("gevent/tests/mine.py"),
        site.write("botocore/data/mine/service-2.json"),
        site.write("other/tests/__init__.py"),
        Site(outside).write("tests/__init__.py"),
        Site(outside).write("file.h"),
        site.write("tests/__init__.py"),
    ]
    (site.folder / "zope").symlink_to(outside)
    (site.folder / "gevent/linked").symlink_to(outside)
    (site.folder / "gevent/linked.h").symlink_to(outside / "file.h")
    site.install(
        "gevent",
        GEVENT,
        ["greenlet"],
        record=[
            "../outside/file.h",
            f"{outside}/file.h",
            "gevent/../../outside/file.h",
            "gevent/linked.h",
            "gevent/linked/file.h",
            "gevent/linked/tests/__init__.py",
            "zope/tests/__init__.py",
            # The name of somebody's package, not a package's tests.
            "tests/__init__.py",
            # They were deleted before.
            "gevent/tests/gone.py",
            "gevent/gone/tests/__init__.py",
            "",
        ],
    )
    before = site.files()
    assert site.run("--apply") == 0
    assert before - site.files() == GOES
    assert all(each.exists() for each in kept)
    assert (site.folder / "gevent/linked.h").is_symlink()


def test_what_another_version_imports_stays(site: Site) -> None:
    site.write("s3po/sigv4/__init__.py", "import botocore.deep.other\nfrom botocore import client")
    assert site.run("--apply") == 0
    left = {*BOTOCORE} & site.files()
    assert {*BOTOCORE} - left == {each for each in BOTOCORE_GOES if not each.endswith(".py")}


def test_byte_code_goes_with_its_source(site: Site) -> None:
    for name in ("client.cpython-311.pyc", "client.cpython-313.opt-1.pyc"):
        site.write(f"botocore/__pycache__/{name}")
    others = {
        str(site.write(f"botocore/__pycache__/{name}").relative_to(site.folder))
        for name in ("auth.cpython-311.pyc", "client_of_mine.cpython-311.pyc")
    }
    assert site.run("--apply") == 0
    left = {each for each in site.files() if each.startswith("botocore/__pycache__")}
    assert left == others


def test_without_a_record_nothing_is_ours(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (site.folder / "botocore-1.dist-info/RECORD").unlink()
    before = site.files()
    assert site.run("--apply") == 0
    assert before - site.files() == GOES - BOTOCORE_GOES
    assert "left alone: botocore.\n" in capsys.readouterr().out


def test_metadata_may_be_broken(site: Site) -> None:
    site.write("~otocore-1.dist-info/METADATA", "Version: 1\n\n")
    site.install("app", requires=["???"])
    assert site.run("--apply") == 0


def test_s3po_has_to_be_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Site(tmp_path).run("--apply") == 1
    assert "s3po is not installed here" in capsys.readouterr().err


def test_what_an_environment_borrows_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    findings = slim.find()
    assert findings.surplus == ()
    assert {"botocore", "gevent"} <= {*findings.others}


def test_this_environment() -> None:
    assert slim.find().surplus, "gevent's tests, at least"


def test_no_right_to_write(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Root may write everywhere, so it is not tried out.
    sacred = {site.folder / "greenlet", site.folder / "gevent/tests"}
    monkeypatch.setattr(os, "access", lambda path, _: path not in sacred)
    before = site.files()
    assert site.run("--apply") == 1
    assert site.files() == before
    folder = site.folder / "gevent/tests"
    assert f"nothing was deleted. No right to write in {folder} (and 1 more)" in (
        capsys.readouterr().err
    )


def test_failures_are_told(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unlink = Path.unlink

    def refuse(path: Path) -> None:
        if path.name == "greenlet.h":
            raise PermissionError(1, "Operation not permitted", str(path))
        if path.name == "endpoints.json":
            # Somebody else is at it.
            unlink(path)
        unlink(path)

    monkeypatch.setattr(Path, "unlink", refuse)
    before = site.files()
    assert site.run("--apply") == 1
    assert before - site.files() == GOES - {"greenlet/greenlet.h"}
    output = capsys.readouterr()
    assert f"Deleted {len(GOES) - 2} files" in output.out
    assert "not deleted: [Errno 1] Operation not permitted" in output.err


def test_it_costs_nothing_at_import() -> None:
    script = "import s3po, sys; s3po.Connection; print('s3po.slim' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
