"""`wfg` for shell scripts of tests, forked from a process that has imported it: a tenth of the cost.

What is still running at the end of the block is killed; no signal reaches it before.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
IMPORTED = (
    "wfg.cli",
    "wfg.client_commands",
    "wfg.dev_command",
    "wfg.follow",
    "wfg.run_screen",
    "wfg.serving",
    "wfg.worker_command",
)

SHIM = """#!{python} -SE
import json, os, socket, sys
call = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    socket.send_fds(server, [len(call).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(call)
    code = server.recv(1)
sys.exit(code[0] if code else 70)
"""


@contextmanager
def quick_wfg(folder: Path) -> Iterator[Path]:
    """A folder for PATH, with `wfg` in it."""
    path = folder / "socket"
    shim = folder / "wfg"
    shim.write_text(SHIM.format(python=sys.executable, path=str(path)))
    shim.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(16)
        fd = listening.fileno()
        arguments = [sys.executable, "-m", "tests.quick_wfg", str(fd)]
        process = subprocess.Popen(
            arguments, cwd=ROOT, pass_fds=[fd], stdin=subprocess.DEVNULL, start_new_session=True
        )
    with process:
        try:
            yield folder
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def answer(connection: socket.socket) -> None:
    """Run one command, in this process, and tell its exit code."""
    length, fds, _, _ = socket.recv_fds(connection, 8, 3)
    call = b""
    while len(call) < int.from_bytes(length, "big"):
        call += connection.recv(1 << 16)
    sys.argv, cwd, environment = json.loads(call)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", buffering=1, encoding="utf-8", closefd=False) for number in (1, 2)
    )
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    code: object = 0
    try:
        import_module("wfg.cli").main(prog_name="wfg")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([code if isinstance(code, int) else 1]))


def main() -> None:
    for module in IMPORTED:
        import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                answer(connection)
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    main()
