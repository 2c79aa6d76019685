"""The worker of agent.yml: a job's `run` is a prompt, the answer its output, within a budget of tokens.

    MODEL_CMD='curl -K model.curl' wfg worker --module agent:worker

MODEL_CMD gets a request of the chat completions API on stdin. It prints the answer, and the HTTP status on a
line of its own.
"""

import asyncio
import json
import os
import shlex
from string import Template
from typing import Any

from wfg.worker import Job, PermanentError, Worker

BUSY = {"408", "409", "425", "429", "500", "502", "503", "504", "529"}
LETTERS_PER_TOKEN = 3  # of prompts, carefully: English has about four

worker = Worker(slots=8)  # a job mostly waits for the network


class Busy(Exception):
    """The provider cannot answer now. The job fails, and is retried after its backoff."""


@worker.handler("model")
async def ask(job: Job) -> dict[str, str]:
    ledger = ledger_of(job)
    spent, budget = sum(ledger.values()), int(job.inputs["budget"])
    max_tokens = int(job.env["MAX_TOKENS"])
    try:
        # Values are filled in once: a `$` that a model wrote is a `$`.
        prompt = Template(job.script).substitute(job.env)
    except (KeyError, ValueError) as error:
        raise PermanentError(f"the prompt cannot be filled in: {error}") from None

    at_most = len(prompt) // LETTERS_PER_TOKEN + max_tokens
    if spent + at_most > budget:
        reason = f"{spent} of {budget} tokens are spent, and this call may take {at_most}"
        raise PermanentError(reason)

    text, tokens = await call_model(prompt, max_tokens)
    ledger[job.job_id] = tokens
    job.log(f"{tokens} tokens, {sum(ledger.values())} of {budget} up to here")
    return {"text": text, "ledger": json.dumps(ledger)}


@worker.handler("model-revise")
async def revise(job: Job) -> dict[str, str]:
    """The early stop: a job cannot be left out, but it can end without a call."""
    if job.upstream_outputs["review"]["text"].strip() == "APPROVED":
        job.log("approved: the draft stays, no call")
        return {"text": job.upstream_outputs["draft"]["text"], "ledger": json.dumps(ledger_of(job))}
    return await ask(job)


def ledger_of(job: Job) -> dict[str, int]:
    """Tokens by job, of all that came before. By name, so that what two parents both tell of counts once."""
    ledger: dict[str, int] = {}
    for outputs in job.upstream_outputs.values():
        ledger |= json.loads(outputs["ledger"])
    return ledger


async def call_model(prompt: str, max_tokens: int) -> tuple[str, int]:
    """The answer, and the tokens of both ways."""
    request = {
        "model": os.environ.get("MODEL", "gpt-4.1-mini"),
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": prompt}],
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *shlex.split(os.environ["MODEL_CMD"]), stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        stdout, stderr = await process.communicate(json.dumps(request).encode())
    finally:
        if process.returncode is None:  # cancelled, or timed out
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise Busy(stderr.decode(errors="replace")[-1000:])

    body, _, status = stdout.decode().rpartition("\n")
    if status in BUSY:
        raise Busy(f"{status}: {body[:1000]}")
    if status != "200":
        raise PermanentError(f"{status}: {body[:1000]}")
    answer: dict[str, Any] = json.loads(body)
    return answer["choices"][0]["message"]["content"], answer["usage"]["total_tokens"]
