"""What an installed wheel needs is in it."""

import sys
import tomllib
from shutil import copytree
from zipfile import ZipFile

import pytest
from wfg import migrate
from wfg.revisions import SQL

from tests.postgres import run

ROOT = SQL.parent


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
    (source / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    if (ROOT / "README.md").exists():
        (source / "README.md").write_bytes((ROOT / "README.md").read_bytes())

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
