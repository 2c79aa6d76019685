// One call of the worker: claims, runs, reports, until there is nothing to do or its time is over.

import { Refusal } from "../_shared/answers.ts";
import { storable } from "../_shared/body.ts";
import { call } from "../_shared/engine.ts";
import { now, sleep } from "./clock.ts";
import {
  type Claim,
  GiveBack,
  type Handler,
  Job,
  NonRetryable,
} from "./job.ts";
import { JobLog } from "./job_log.ts";
import { HeldLease } from "./lease.ts";
import { type Report, Reporter } from "./reporter.ts";

const GRACE_MS = 2000; // for a handler that was told to stop
const CLAIM_TRIES = 3;
const TAIL_CHARS = 4096;

export interface ShiftSettings {
  workerId: string;
  /** Besides those of the handlers. */
  labels: string[];
  /** Jobs that run at a time. */
  slots: number;
  /** Jobs claimed beyond the free slots: they wait, leased, and save a claim when jobs are short. */
  prefetch: number;
  leaseSecs: number;
  /** Of this isolate's time: no job is started later; jobs that still run are stopped. */
  startUntil: number;
  endAt: number;
}

export interface Summary {
  worker_id: string;
  claimed: number;
  success: number;
  failure: number;
  /** Failed, and will be tried again. */
  queued: number;
  cancelled: number;
  released: number;
  lost: number;
  /** Why it ended: idle means that nothing was left to do. */
  stopped: "idle" | "out of time" | "given back" | "engine";
  secs: number;
}

export class Shift {
  private readonly waiting: HeldLease[] = [];
  private readonly running = new Map<HeldLease, Promise<void>>();
  private readonly reporter = new Reporter();
  private ended = 0;
  private readonly counts: Record<string, number> = {};
  private stopped: Summary["stopped"] | null = null;
  private readonly early = new AbortController();

  constructor(
    private readonly settings: ShiftSettings,
    private readonly handlers: Record<string, Handler>,
  ) {}

  /** End it at once: the platform takes the isolate away. */
  cut(): void {
    this.stopped ??= "out of time";
    this.early.abort();
  }

  /** A Refusal if it could not even claim. */
  async work(): Promise<Summary> {
    const startedAt = now();
    try {
      await this.claimAndRun();
    } finally {
      await this.end();
    }
    const count = (name: string) => this.counts[name] ?? 0;
    return {
      worker_id: this.settings.workerId,
      claimed: count("claimed"),
      success: count("success"),
      failure: count("failure"),
      queued: count("queued"),
      cancelled: count("cancelled"),
      released: count("released"),
      lost: count("lost"),
      stopped: this.stopped ?? "idle",
      secs: Math.round(now() - startedAt) / 1000,
    };
  }

  /** While something runs, what it leads to may be claimed next: it is over when nothing runs and nothing is there. */
  private async claimAndRun(): Promise<void> {
    while (this.stopped === null) {
      if (now() >= this.settings.startUntil) {
        this.stopped = "out of time";
        return;
      }
      this.startWaiting();
      if (this.running.size >= this.settings.slots) {
        await this.somethingEnds();
        continue;
      }
      const ended = this.ended;
      const found = await this.claim();
      if (found > 0 || this.ended > ended) continue; // what ended meanwhile may have led to something
      if (this.running.size === 0) return;
      await this.somethingEnds();
    }
  }

  /** Waits no longer than jobs may be started. */
  private async somethingEnds(): Promise<void> {
    const ended = new AbortController();
    const signal = AbortSignal.any([ended.signal, this.early.signal]);
    await Promise.race([
      ...this.running.values(),
      sleep(this.settings.startUntil - now(), signal),
    ]);
    ended.abort();
  }

  private async claim(): Promise<number> {
    const { workerId, labels, slots, prefetch, leaseSecs } = this.settings;
    const claimedAt = now();
    let claims: Claim[];
    try {
      claims = await claimJobs({
        p_worker_id: workerId,
        p_labels: [
          "!unlabeled",
          ...new Set([...Object.keys(this.handlers), ...labels]),
        ],
        p_limit: slots - this.running.size + prefetch,
        p_ttl_secs: leaseSecs,
      });
    } catch (error) {
      if (this.counts.claimed === undefined) throw error;
      this.stopped = "engine";
      return 0;
    }
    this.count("claimed", claims.length);
    for (const claim of claims) {
      const lease = new HeldLease(claim, claimedAt);
      lease.keep();
      lease.watchTimeout();
      this.waiting.push(lease);
    }
    return claims.length;
  }

  private startWaiting(): void {
    while (
      this.running.size < this.settings.slots && this.waiting.length > 0
    ) {
      const lease = this.waiting.shift()!;
      const execution = this.execute(lease).finally(() => {
        lease.end();
        this.running.delete(lease);
        this.ended++;
      });
      this.running.set(lease, execution);
    }
  }

  // --- a job ---

  private async execute(lease: HeldLease): Promise<void> {
    const log = new JobLog(lease);
    const job = new Job(
      lease.claim,
      lease.signal,
      (text) => log.write(text),
      () => Math.max(0, (this.settings.endAt - now()) / 1000),
    );
    try {
      const report = await this.run(job, lease);
      if (report === "released") {
        log.abandon();
        return await this.release(lease);
      }
      if (lease.reason === "lost") log.abandon();
      await log.close(Math.max(1000, (lease.endsAt - now()) / 2));
      lease.end(); // a report that is never taken must not keep the lease for ever
      this.count(await this.conclude(report, lease));
    } catch (error) {
      // Refused, or a bug: the lease runs out.
      console.error(`${job.id} (run ${job.runId}) is not reported:`, error);
      this.count("lost");
    } finally {
      log.abandon();
    }
  }

  /** What the handler has to report. One that is told to stop, and does not, is left behind. */
  private async run(job: Job, lease: HeldLease): Promise<Report | "released"> {
    if (lease.signal.aborted) { // before its start
      return lease.reason === "timed out" ? "released" : failed(lease, "");
    }
    const handler = this.handlerOf(job);
    if (handler === undefined) {
      const error = `no handler for the labels ${JSON.stringify(job.labels)}`;
      return failed(lease, error, false);
    }
    const work = (async () => await handler(job))().then(
      (outputs) => succeeded(lease, outputs ?? {}),
      (error) => {
        if (!(error instanceof GiveBack)) return threw(lease, error);
        this.stopped ??= "given back"; // else it would be claimed again at once
        return "released" as const;
      },
    );
    const first = await Promise.race([work, aborted(lease.signal)]);
    if (first !== null) return first;

    const late = await Promise.race([work, sleep(GRACE_MS)]) ?? null;
    if (late !== null && (late === "released" || late.outcome === "success")) {
      return late;
    }
    const secs = lease.claim.job.timeout_secs;
    return lease.reason === "timed out"
      ? failed(lease, `timed out after ${secs} s`)
      : failed(lease, "out of time: the worker's wall clock ended it");
  }

  private handlerOf(job: Job): Handler | undefined {
    const label = job.labels.find((label) =>
      Object.hasOwn(this.handlers, label)
    );
    return label === undefined ? undefined : this.handlers[label];
  }

  /** What became of the job. A lost lease is not reported; a cancelled one is acknowledged. */
  private async conclude(report: Report, lease: HeldLease): Promise<string> {
    if (lease.reason === "lost") return "lost";
    if (lease.reason === "cancelled") {
      report = failed(lease, "cancelled", false);
    }
    try {
      return await this.reporter.deliver(report, lease);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.message === "lease_cancelled") {
        lease.stop("cancelled");
        return await this.conclude(report, lease);
      }
      if (report.outcome === "failure") throw error;
      const reason = `its outputs were refused: ${
        error.details ?? error.message
      }`;
      return await this.conclude(failed(lease, reason, false), lease);
    }
  }

  private async release(lease: HeldLease): Promise<void> {
    lease.end();
    if (lease.reason === "lost") return this.count("lost");
    try {
      await call("wfg_release_job", { p_lease_id: lease.id }, 5000);
      this.count("released");
    } catch (error) {
      if (!(error instanceof Refusal)) console.error("not released:", error);
      this.count("lost"); // or it runs out
    }
  }

  // --- the end ---

  /** Give back what was not started. What runs may go on until the time is over, and is stopped then. */
  private async end(): Promise<void> {
    const unstarted = this.waiting.splice(0).map((lease) =>
      this.release(lease)
    );
    const done = new AbortController();
    const ending = Promise.all([...unstarted, ...this.running.values()]);
    ending.finally(() => done.abort());
    const signal = AbortSignal.any([done.signal, this.early.signal]);
    await sleep(this.settings.endAt - now(), signal);
    for (const lease of this.running.keys()) lease.stop("out of time");
    await ending;
  }

  private count(name: string, by = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + by;
  }
}

/** A claim that waited too long for a lock, or did not arrive, is made again. */
async function claimJobs(args: Record<string, unknown>): Promise<Claim[]> {
  for (let tries = 1;; tries++) {
    try {
      return JSON.parse(await call("wfg_claim_jobs", args, 10_000));
    } catch (error) {
      const unavailable = error instanceof Refusal && error.status === 503;
      if (!unavailable || tries >= CLAIM_TRIES) throw error;
      await sleep(200 * tries);
    }
  }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}

// --- reports ---

function succeeded(
  lease: HeldLease,
  returned: Record<string, unknown>,
): Report {
  const outputs: Record<string, string> = {};
  for (const [name, value] of Object.entries(returned)) {
    if (value === undefined) continue;
    outputs[storable(name)] = storable(
      typeof value === "string" ? value : JSON.stringify(value),
    );
  }
  return { lease_id: lease.id, outcome: "success", outputs };
}

function threw(lease: HeldLease, error: unknown): Report {
  const text = error instanceof Error
    ? error.stack ?? String(error)
    : String(error);
  return failed(lease, text, !(error instanceof NonRetryable));
}

function failed(lease: HeldLease, error: string, retryable = true): Report {
  const text = storable(error.slice(0, TAIL_CHARS));
  return { lease_id: lease.id, outcome: "failure", error: text, retryable };
}
