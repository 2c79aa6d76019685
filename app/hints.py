"""What is said below a list when jobs wait that no live worker can take: else they would wait in silence."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from .client import Client, path_of
from .client_answers import JOB_PAGE, QUEUE, KnownRun, ListedJob, Queue
from .errors import EngineError
from .run_screen import duration
from .transport import read_answer


def labels_text(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "(none)"


def wanted(labels: Sequence[str]) -> str:
    """The worker that is missing."""
    return f"a worker with {labels_text(sorted(labels))}" if labels else "a worker"


def hints_of(queue: Queue) -> Iterator[str]:
    """A line for each pair of labels and priority in trouble, and for what is paused."""
    paused = queue.put_aside
    for lane in queue.items:
        if lane.paused:
            paused += lane.ready
        elif lane.no_worker and lane.ready:
            many = f"{lane.ready}{'+' if lane.at_least else ''} ready {'job' if lane.ready == 1 else 'jobs'}"
            for_so_long = duration((lane.oldest_wait_ms or 0) / 1000)
            needs = "needs" if lane.ready == 1 else "need"
            yield f"{many} {needs} {wanted(lane.required_labels)}, for {for_so_long}: none is live."
    if paused:
        yield f"{paused} ready {'job is' if paused == 1 else 'jobs are'} paused: wfg pauses."


def hints_of_jobs(jobs: Iterable[ListedJob]) -> Iterator[str]:
    """Of listed jobs: a line for each set of labels."""
    waiting = Counter(
        tuple(sorted(job.required_labels))
        for job in jobs
        if job.no_worker and job.waits == "ready" and not job.paused
    )
    for labels, count in waiting.items():
        what = "1 of these jobs needs" if count == 1 else f"{count} of these jobs need"
        yield f"{what} {wanted(labels)}: none is live."


def hints_of_queue(client: Client) -> list[str]:
    """Of all that is queued now; nothing when the server cannot tell."""
    try:
        return list(hints_of(read_answer(QUEUE, client.call("GET", path_of("queue")))))
    except EngineError:
        return []


def hints_of_run(client: Client, run: KnownRun) -> list[str]:
    """Of a run, while it goes on."""
    return hints_of_ready(client, run.run_id) if run.state in ("queued", "running") else []


def hints_of_ready(client: Client, run_id: str) -> list[str]:
    """Of the jobs of a run that are ready."""
    params: dict[str, str | int | bool | None] = {"run_id": run_id, "state": "ready", "limit": 1000}
    try:
        page = read_answer(JOB_PAGE, client.call("GET", path_of("jobs"), params=params))
    except EngineError:
        return []
    return list(hints_of_jobs(page.items))
