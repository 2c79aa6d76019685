// The output of one attempt on its way to the engine: numbered, in order, one request at a time. Trouble with the log
// never fails a job.

import { Refusal } from "../_shared/answers.ts";
import { storable } from "../_shared/body.ts";
import { call } from "../_shared/engine.ts";
import { now, sleep } from "./clock.ts";
import type { HeldLease } from "./lease.ts";

const FLUSH_MS = 500;
const MAX_CHARS = 16 * 1024; // of a chunk
const BATCH_CHUNKS = 50;
const FULL_CHUNKS = 500; // what waits beyond is dropped, and a line says so

interface Chunk {
  workflow_id: string;
  job_id: string;
  sequence: number;
  data: string;
  timestamp_ms: number;
  stream: "stdout" | "stderr";
}

export class JobLog {
  private readonly waiting: Chunk[] = [];
  private sequence = 0;
  private dropped = 0;
  private over = false;
  private sending: Promise<void> | null = null;
  private readonly closing = new AbortController();

  constructor(private readonly lease: HeldLease) {}

  write(text: string, stream: "stdout" | "stderr" = "stdout"): void {
    const line = storable(text.endsWith("\n") ? text : `${text}\n`);
    for (let at = 0; at < line.length; at += MAX_CHARS) {
      this.add(line.slice(at, at + MAX_CHARS), stream);
    }
  }

  /** Send what is left, as far as that is possible in time. */
  async close(ms: number): Promise<void> {
    this.admitDrops();
    this.closing.abort();
    if (this.sending !== null) await Promise.race([this.sending, sleep(ms)]);
    this.abandon();
  }

  /** Send nothing more. */
  abandon(): void {
    this.over = true;
    this.closing.abort();
  }

  private add(data: string, stream: "stdout" | "stderr"): void {
    if (this.over) return;
    if (this.waiting.length >= FULL_CHUNKS) {
      this.dropped++;
      return;
    }
    this.admitDrops();
    this.append(data.toWellFormed(), stream);
  }

  private admitDrops(): void {
    if (this.dropped === 0) return;
    const text = `[wfg] ${this.dropped} lines are missing here: ` +
      "the log could not be sent in time\n";
    this.dropped = 0;
    this.append(text, "stderr");
  }

  private append(data: string, stream: "stdout" | "stderr"): void {
    const { workflow_id, job_id } = this.lease.claim.job;
    const sequence = this.sequence++;
    const timestamp_ms = Date.now();
    this.waiting.push(
      { workflow_id, job_id, sequence, data, timestamp_ms, stream },
    );
    this.sending ??= this.send().finally(() => this.sending = null);
  }

  private async send(): Promise<void> {
    while (this.waiting.length > 0 && !this.over) {
      await sleep(FLUSH_MS, this.closing.signal); // let lines gather
      await this.sendBatch(this.waiting.slice(0, BATCH_CHUNKS));
    }
  }

  private async sendBatch(batch: Chunk[]): Promise<void> {
    const args = { p_lease_id: this.lease.id, p_chunks: batch };
    while (!this.over) {
      try {
        const text = await call("wfg_append_logs", args, 10_000);
        this.waiting.splice(0, batch.length);
        if (JSON.parse(text).truncated) this.over = true;
        return;
      } catch (error) {
        if (error instanceof Refusal && error.isPassing) {
          if (now() >= this.lease.endsAt) this.over = true;
          await sleep(500);
          continue;
        }
        if (error instanceof Refusal && error.message === "lease_not_held") {
          this.lease.stop("lost");
        } else {
          console.error(`${this.lease.claim.job.job_id}: log refused:`, error);
        }
        this.over = true;
      }
    }
  }
}
