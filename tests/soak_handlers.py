"""What the workers of tests/soak.py run for the label `python`: a job does what its `env` says."""

import asyncio
import os

from wfg.worker import Job, PermanentError, Worker

worker = Worker()


@worker.handler("python")
async def work(job: Job) -> dict[str, str]:
    """LINES of its log, BYTES of its output, SECS it takes, FAILURES before it succeeds, NEVER: it fails."""
    told = {name: int(job.env.get(name, "0")) for name in ("LINES", "BYTES", "SECS", "FAILURES", "NEVER")}
    for number in range(told["LINES"]):
        job.log(f"{number} of job {job.job_id}: nothing unusual")
    await asyncio.sleep(told["SECS"])
    if told["NEVER"]:
        raise PermanentError("on purpose")
    if job.attempt < told["FAILURES"]:
        raise RuntimeError("on purpose, and again")
    return {"blob": os.urandom(told["BYTES"] // 2).hex()} if told["BYTES"] else {}
