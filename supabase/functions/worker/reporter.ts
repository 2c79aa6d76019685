// Delivers the ends of attempts: what ends while a call is under way goes together in the next one. A lease that does
// not hold any more is respected: its report is dropped.

import { Refusal } from "../_shared/answers.ts";
import { call } from "../_shared/engine.ts";
import { now, sleep } from "./clock.ts";
import type { HeldLease } from "./lease.ts";

const BATCH = 100;

export interface Report {
  lease_id: string;
  outcome: "success" | "failure";
  outputs?: Record<string, string>;
  error?: string;
  retryable?: boolean;
}

interface ReportAnswer {
  ok: boolean;
  job?: string;
  message?: string;
}

interface Item {
  report: Report;
  settle: (answer: ReportAnswer | Refusal) => void;
}

export class Reporter {
  private waiting: Item[] = [];
  private sending = false;

  /** The state of the job after it, or lost. Again and again until the lease ends; a repeat counts as delivered. */
  async deliver(report: Report, lease: HeldLease): Promise<string> {
    let pause = 100;
    while (true) {
      const answer = await this.send(report);
      if (answer instanceof Refusal) {
        if (!answer.isPassing) throw answer;
        if (now() + pause >= lease.endsAt) return "lost";
        await sleep(pause);
        pause = Math.min(pause * 2, 5000);
        continue;
      }
      if (answer.ok) return answer.job ?? report.outcome;
      if (answer.message === "already_reported") {
        return answer.job ?? report.outcome;
      }
      if (answer.message === "lease_not_held") return "lost";
      throw new Refusal(409, answer.message ?? "refused");
    }
  }

  private send(report: Report): Promise<ReportAnswer | Refusal> {
    return new Promise((settle) => {
      this.waiting.push({ report, settle });
      if (!this.sending) this.sendWaiting();
    });
  }

  private async sendWaiting(): Promise<void> {
    this.sending = true;
    await Promise.resolve(); // what ends in the same moment comes along
    while (this.waiting.length > 0) {
      await this.sendBatch(this.waiting.splice(0, BATCH));
    }
    this.sending = false;
  }

  private async sendBatch(batch: Item[]): Promise<void> {
    try {
      const p_reports = batch.map((item) => item.report);
      const answers = JSON.parse(await call("wfg_report_jobs", { p_reports }));
      batch.forEach((item, at) => item.settle(answers[at]));
    } catch (error) {
      const refusal = error instanceof Refusal
        ? error
        : new Refusal(500, "internal_error");
      if (batch.length > 1 && !refusal.isPassing) {
        // One of them spoils the call: which one, single calls tell.
        for (const item of batch) await this.sendBatch([item]);
        return;
      }
      for (const item of batch) item.settle(refusal);
    }
  }
}
