"""Whatever is sent to the HTTP door: an answer that the OpenAPI document promises, and no 5xx."""

import os
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.arrange import CRON
from tests.engine import Engine
from tests.http_fuzz import Fuzzer
from tests.servers import server_process
from tests.test_tokens import make_token

# The fake of pg_cron is as good as the real one.
NO_CHECK = """
create or replace function wfg.check_cron(
  p_older_than_secs bigint default 2592000,
  p_keep_per_workflow integer default 0,
  p_logs_older_than_secs bigint default null
)
  returns void language plpgsql stable as 'begin end';
"""


@pytest.fixture
def make_fuzzer(
    new_database: Callable[..., str], template: str, tmp_path: Path
) -> Iterator[Callable[[int], Fuzzer]]:
    """make_fuzzer(seed): of a `wfg serve` that wants a token. $WFG_FUZZ_SEED is one to try again."""
    dsn = new_database(template)
    engine = Engine(dsn)
    engine.connection.execute(CRON + NO_CHECK)
    token = make_token(engine, "fuzz")
    with server_process(dsn, tmp_path) as server:

        def make(seed: int) -> Fuzzer:
            seed = int(os.environ.get("WFG_FUZZ_SEED", seed))
            print(f"WFG_FUZZ_SEED={seed}")
            return Fuzzer(server.url(), token, engine, seed)

        yield make
        assert "Traceback" not in server.stderr(), server.stderr()[-5000:]
    engine.check()
    engine.close()


def verify(fuzzer: Fuzzer, cases: int) -> None:
    """Nothing was wrong about any answer, and every operation had answers of both kinds."""
    print(fuzzer.tally.table())
    print(f"{fuzzer.tally.total()} cases; excused: {dict(fuzzer.excused)}")
    assert not fuzzer.objections, "\n\n".join(["", *fuzzer.objections.values()])
    assert fuzzer.tally.total() >= cases
    for operation in fuzzer.operations:
        assert fuzzer.tally[operation.label, "2xx"], f"{operation.label}: nothing was right"
        assert fuzzer.tally[operation.label, "4xx"], f"{operation.label}: nothing was wrong"


@pytest.mark.nightly
def test_answers_are_as_documented_in_short(make_fuzzer: Callable[[int], Fuzzer]) -> None:
    """A thousand, the same all day long: a step of .ci/run."""
    fuzzer = make_fuzzer(int(datetime.now(UTC).strftime("%Y%m%d")))
    fuzzer.run(coverage=7, right=6, wrong=3)
    fuzzer.run_sequences(count=12, steps=6)
    verify(fuzzer, 1000)


@pytest.mark.nightly
def test_answers_are_as_documented_at_length(make_fuzzer: Callable[[int], Fuzzer]) -> None:
    fuzzer = make_fuzzer(secrets.randbelow(10**8))
    fuzzer.run(coverage=None, right=100, wrong=80)
    fuzzer.run_sequences(count=150, steps=10)
    verify(fuzzer, 10_000)
