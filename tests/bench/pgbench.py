"""pgbench: C clients that cost next to nothing, and the same for what is measured and for its floor."""

import re
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from tests.bench.cluster import Cluster

PROGRESS = re.compile(r"progress: ([\d.]+) s, ([\d.]+) tps")

# One claim and its completion, in two transactions. When there is nothing to claim it goes round again.
PAIR = """
select c -> 'lease' ->> 'lease_id' as lease, (c -> 'lease' is not null)::int as got
  from (select public.wfg_claim_job('w' || :client_id, :labels, 3600) as c offset 0) s \\gset
\\if :got
select public.wfg_complete_job(:lease);
\\endif
"""
CLIENTS = 8


@dataclass
class Load:
    """What pgbench did: transactions per second, second by second."""

    per_second: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)  # of those seconds, in epoch seconds
    cpu_us: float | None = None  # of the server's sessions, for each transaction

    def rate(self) -> float:
        return mean(self.per_second)


class PgbenchError(Exception):
    """pgbench failed; the text is what it said."""


class Client:
    """A pgbench at work."""

    def __init__(
        self,
        cluster: Cluster,
        database: str,
        script: str,
        *options: str,
        clients: int = CLIENTS,
        variables: Mapping[str, object] | None = None,
    ) -> None:
        self.cluster = cluster
        self.script = tempfile.NamedTemporaryFile("w", suffix=".sql")  # noqa: SIM115  finish() closes it
        self.script.write(script)
        self.script.flush()
        self.load = Load()
        self.said: list[str] = []
        host = cluster.dsn.rpartition("host=")[2]
        command = [
            str(cluster.bin_dir / "pgbench"),
            *("-h", host, "-U", "postgres", "-n", "-M", "prepared", "-f", self.script.name, "-P", "1"),
            "--progress-timestamp",
            *("-c", str(clients), "-j", str(min(clients, 2)), *options),
            *(f"-D{name}={value}" for name, value in (variables or {}).items()),
            database,
        ]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd="/",
        )

    def read(self, until: int | None = None) -> Load:
        """Follow it for so many seconds, or to its end."""
        assert self.process.stderr is not None
        while until is None or len(self.load.per_second) < until:
            line = self.process.stderr.readline()
            if not line:
                if until is not None:
                    raise PgbenchError("".join(self.said[:10]))
                break
            if found := PROGRESS.match(line):
                self.load.ends.append(float(found[1]))
                self.load.per_second.append(float(found[2]))
            else:
                self.said.append(line)
        return self.load

    def measure(self, seconds: int, begin: float = 0) -> Load:
        """What it does in so many whole seconds, the first of them after an instant."""
        while not self.load.ends or self.load.ends[-1] < begin:
            self.read(len(self.load.ends) + 1)
        first, cpu = len(self.load.ends), self.cpu_secs()
        self.read(first + seconds)
        load = Load(self.load.per_second[first:], self.load.ends[first:])
        if cpu is not None and (after := self.cpu_secs()) is not None and load.rate():
            load.cpu_us = (after - cpu) / (load.rate() * seconds) * 1e6
        return load

    def cpu_secs(self) -> float | None:
        """Seconds that our sessions' processes have had of a processor; None where /proc does not say."""
        with self.cluster.connect() as connection:
            query = "select a.pid from pg_stat_activity a where a.application_name = 'pgbench'"
            paths = [Path(f"/proc/{row[0]}/schedstat") for row in connection.execute(query)]
        try:
            return sum(int(path.read_text().split()[0]) for path in paths) / 1e9
        except OSError:
            return None

    def finish(self) -> None:
        """Stop it if it is still at work. It must not have failed."""
        stopped = self.process.poll() is None
        self.process.terminate()
        self.read()
        self.script.close()
        assert self.process.stderr is not None
        self.process.stderr.close()
        if self.process.wait() != 0 and not stopped:
            raise PgbenchError("".join(self.said[:10]))


@contextmanager
def started(cluster: Cluster, database: str, script: str, *options: str, **more) -> Generator[Client]:
    """A pgbench that is stopped when the block ends."""
    client = Client(cluster, database, script, *options, **more)
    try:
        yield client
    finally:
        client.finish()


def run(cluster: Cluster, database: str, script: str, *options: str, **more) -> Load:
    """Run a script to its end."""
    with started(cluster, database, script, *options, **more) as client:
        client.read()
    return client.load
