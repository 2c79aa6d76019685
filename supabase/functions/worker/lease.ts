// A lease that this call holds: kept alive by heartbeats, until its job is reported or must stop.

import { Refusal } from "../_shared/answers.ts";
import { call } from "../_shared/engine.ts";
import { now, sleep } from "./clock.ts";
import type { Claim } from "./job.ts";

/** Why a job must stop before its end. lost: somebody else may run it already, so nothing is reported. */
export type StopReason = "cancelled" | "lost" | "timed out" | "out of time";

export class HeldLease {
  reason: StopReason | null = null;
  endsAt: number;
  private readonly stopped = new AbortController();
  private readonly done = new AbortController();
  private readonly timeoutAt: number;

  /** claimedAt: before the claim was sent, so that we never believe in it for too long. */
  constructor(readonly claim: Claim, claimedAt: number) {
    const secs = claim.job.timeout_secs;
    this.timeoutAt = secs === null ? Infinity : claimedAt + secs * 1000;
    this.endsAt = Math.min(claimedAt + this.ttlMs, this.timeoutAt);
  }

  get id(): string {
    return this.claim.lease.lease_id;
  }

  get ttlMs(): number {
    return this.claim.lease.ttl_secs * 1000;
  }

  /** Aborted when the job must stop. */
  get signal(): AbortSignal {
    return this.stopped.signal;
  }

  /** The first reason stays, except that a lost lease is beyond all others. */
  stop(reason: StopReason): void {
    if (this.reason === null || reason === "lost") this.reason = reason;
    this.stopped.abort(new Error(reason));
  }

  /** No more heartbeats. */
  end(): void {
    this.done.abort();
  }

  /** Stop the job a little before its timeout: the engine ends the lease with it. */
  async watchTimeout(): Promise<void> {
    if (this.timeoutAt === Infinity) return;
    const early = Math.min(500, (this.timeoutAt - now()) / 10);
    await sleep(this.timeoutAt - early - now(), this.done.signal);
    if (!this.done.signal.aborted) this.stop("timed out");
  }

  /** Heartbeats at a third of the ttl, a little early at random, until end(), a loss or a cancellation. */
  async keep(): Promise<void> {
    let pause = this.pause();
    while (true) {
      await sleep(pause, this.done.signal);
      if (this.done.signal.aborted) return;
      const askedAt = now();
      try {
        const left = Math.max(this.endsAt - askedAt, 100);
        const text = await call(
          "wfg_renew_lease",
          { p_lease_id: this.id },
          left,
        );
        if (JSON.parse(text).stop !== null) return this.stop("cancelled");
        this.endsAt = Math.min(askedAt + this.ttlMs, this.timeoutAt);
        pause = this.pause();
      } catch (error) {
        const passing = error instanceof Refusal && error.isPassing;
        if (this.done.signal.aborted) return; // reported meanwhile
        if (!passing || now() >= this.endsAt) return this.stop("lost");
        pause = Math.min(1000, this.ttlMs / 10);
      }
    }
  }

  private pause(): number {
    return this.ttlMs / 3 * (0.8 + 0.2 * Math.random());
  }
}
