"""pgbench: C clients that cost next to nothing, and the same for what is measured and for its floor."""

import re
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from psycopg.conninfo import conninfo_to_dict

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

# The same for many: claim so many, complete them. The server cuts the reports out of the claims' text:
# "lease_id" is in it once for each claim, and the lease in the next quotes. It counts with the figure, but is
# cheap.
BATCH = """
select '[' || string_agg(
         '{{"lease_id":"' || split_part(p.part, '"', 2) || '","outcome":"success"}}', ','
       ) || ']' as reports, count(p.part) as got
  from (
         select public.wfg_claim_jobs('{worker}' || :client_id, :labels, {size}, 3600)::text as claims
         offset 0
       ) c
 cross join lateral unnest((string_to_array(c.claims, '"lease_id"'))[2:]) p (part) \\gset
\\if :got
select public.wfg_report_jobs(:reports, true);
\\endif
"""

CLAIM = "select public.wfg_claim_job('w' || :client_id, :labels, 3600);"

CLIENTS = 8
GATE = 77  # an advisory lock


def batch(size: int, worker: str = "w") -> str:
    return BATCH.format(size=size, worker=worker)


def gated(script: str, before: int) -> str:
    """After so many transactions each session waits at the gate, once. Its variable n is 0 at first."""
    return f"""
\\set n :n + 1
\\if :n = {before} + 1
select pg_advisory_xact_lock_shared({GATE});
\\endif
{script}"""


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
        self.clients = clients
        self.script = tempfile.NamedTemporaryFile("w", suffix=".sql")  # noqa: SIM115  finish() closes it
        self.script.write(script)
        self.script.flush()
        self.load = Load()
        self.said: list[str] = []
        server = conninfo_to_dict(cluster.dsn)
        command = [
            str(cluster.bin_dir / "pgbench"),
            *("-h", str(server["host"]), "-p", str(server["port"]), "-U", "postgres"),
            *("-n", "-M", "prepared", "-f", self.script.name, "-P", "1", "--progress-timestamp"),
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

    def read(self) -> bool:
        """Follow it for one more second; whether it was still at work."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := PROGRESS.match(line):
                self.load.ends.append(float(found[1]))
                self.load.per_second.append(float(found[2]))
                return True
            self.said.append(line)
        return False

    def measure(self, seconds: int, begin: float) -> Load:
        """What it does in so many whole seconds, the first of them after an instant; 0: from the start.

        In more seconds, if nothing came of them: the machine is that busy.
        """
        while begin and (not self.load.ends or self.load.ends[-1] < begin):
            self.must_read()
        first, before = len(self.load.ends), self.cpu_secs()
        while len(self.load.ends) < first + seconds or not sum(self.load.per_second[first:]):
            self.must_read()
        return self.load_of(first, len(self.load.ends), before, self.cpu_secs())

    def load_of(self, first: int, last: int, before: float | None, after: float | None) -> Load:
        load = Load(self.load.per_second[first:last], self.load.ends[first:last])
        if before is not None and after is not None and sum(load.per_second):
            load.cpu_us = (after - before) / sum(load.per_second) * 1e6
        return load

    def must_read(self) -> None:
        if not self.read():
            raise PgbenchError("".join(self.said[:10]))

    def must_work(self) -> None:
        if self.process.poll() is not None:
            while self.read():
                pass
            raise PgbenchError("".join(self.said[:10]))

    def cpu_secs(self) -> float | None:
        """Processor time of our sessions; None when not all are there, or /proc does not say."""
        with self.cluster.connect() as connection:
            query = "select a.pid from pg_stat_activity a where a.application_name = 'pgbench'"
            paths = [Path(f"/proc/{row[0]}/schedstat") for row in connection.execute(query)]
        try:
            nanoseconds = [int(path.read_text().split()[0]) for path in paths]
        except OSError:
            return None
        return sum(nanoseconds) / 1e9 if len(nanoseconds) == self.clients else None

    def finish_alone(self) -> None:
        """Wait until it ends by itself."""
        while self.read():
            pass
        self.process.wait()

    def finish(self) -> None:
        """Stop it if it is still at work. It must not have failed."""
        stopped = self.process.poll() is None
        self.process.terminate()
        while self.read():
            pass
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


@contextmanager
def logged() -> Generator[tuple[tuple[str, ...], Path]]:
    """Options for a log of every transaction, and the directory that it comes to."""
    with tempfile.TemporaryDirectory(prefix="wfg-bench-") as directory:
        yield ("--log", f"--log-prefix={directory}/log"), Path(directory)


def latencies_ms(directory: Path, begin: float, end: float) -> list[float]:
    """How long each transaction took that ended between two epoch times, in order of length."""
    lines = [line.split() for path in directory.iterdir() for line in path.read_text().splitlines()]
    # client, transaction, microseconds, script, epoch seconds, microseconds of those
    return sorted(int(line[2]) / 1000 for line in lines if begin < int(line[4]) + int(line[5]) / 1e6 <= end)


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
