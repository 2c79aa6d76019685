"""What an installed wheel needs is in it."""

import json
import sys
import tomllib
from pathlib import Path
from shutil import copytree, rmtree
from zipfile import ZipFile

import pytest
from wfg import migrate
from wfg.revisions import SQL

from tests.postgres import run
from vendor import fetch

ROOT = SQL.parent
OF_TESTS = Path(__file__).parent / "vendor.json"


def test_every_package_is_listed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(["wfg", *path.parent.relative_to(ROOT / "app").parts])
        for path in (ROOT / "app").rglob("*.py")
    }

    assert found | {"wfg.migrations"} == set(listed)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A built wheel, unpacked: what pip would put into site-packages."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name in ("app", "migrations"):
        copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "setup.py", "vendor.py", "README.md"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    # As it is in a clone: libraries are listed, not there. One more than ours is listed, for the test's sake.
    rmtree(source / "app/static/vendor", ignore_errors=True)
    listing = source / "app/static/vendor.json"
    listing.write_text(json.dumps(json.loads(listing.read_text()) + json.loads(OF_TESTS.read_text())))

    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)])
    (built,) = target.glob("*.whl")
    with ZipFile(built) as archive:
        archive.extractall(target)
    return target


def test_wheel_upgrades_a_database(wheel, new_database):
    script = "\n".join(
        [
            "import sys, wfg; from wfg import migrate",
            "assert wfg.__file__.startswith(sys.argv[1]), wfg.__file__",
            "assert str(migrate.MIGRATIONS).startswith(sys.argv[1]), migrate.MIGRATIONS",
            "migrate.upgrade(sys.argv[2]); print(migrate.current(sys.argv[2]))",
        ]
    )
    answer = run([sys.executable, "-c", script, str(wheel), new_database()], PYTHONPATH=str(wheel))

    assert answer == f"{migrate.head()}\n"


def test_wheel_has_all_that_is_not_python(wheel):
    assert (wheel / "wfg" / "py.typed").exists()
    ours = {path.relative_to(ROOT / "app") for path in (ROOT / "app").rglob("*") if path.is_file()}
    packed = {path.relative_to(wheel / "wfg") for path in (wheel / "wfg").rglob("*") if path.is_file()}

    assert {path for path in ours - packed if "__pycache__" not in path.parts} == set()


def test_wheel_has_the_libraries_of_the_page(wheel):
    listed = json.loads((wheel / "wfg/static/vendor.json").read_text())
    packed = {path.name for path in (wheel / "wfg/static/vendor").iterdir()}

    assert [package["name"] for package in listed][-1] == "axe-core"
    assert {Path(package["file"]).name for package in listed} <= packed
    assert (wheel / "wfg/static/vendor/axe.min.js").read_bytes() == fetch(OF_TESTS)[-1].read_bytes()
    assert all(package["licence"] for package in listed)


def test_another_tarball_than_the_listed_one_is_refused(tmp_path):
    packages = json.loads(OF_TESTS.read_text())
    listing = tmp_path / "vendor.json"
    listing.write_text(json.dumps([{**packages[0], "integrity": "sha512-AAAA"}]))

    with pytest.raises(SystemExit, match="integrity is sha512-"):
        fetch(listing)
    assert list((tmp_path / "vendor").iterdir()) == []
