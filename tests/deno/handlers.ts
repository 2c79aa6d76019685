// Handlers for tests: what a handler can do, and what can happen to it.

import { handlers as examples } from "../../supabase/functions/worker/handlers.ts";
import {
  GiveBack,
  type Handler,
  NonRetryable,
} from "../../supabase/functions/worker/job.ts";

const pause = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

export const handlers: Record<string, Handler> = {
  ...examples,
  "say": (job) => {
    job.log(`attempt ${job.attempt}`);
    return { ...job.inputs, list: [1, 2], nothing: undefined };
  },
  "join": (job) => ({
    text: Object.values(job.upstreamOutputs).map((o) => o.text).join("+"),
  }),
  "throw": () => {
    throw new Error("boom \0 \ud800");
  },
  "never": () => {
    throw new NonRetryable("no use");
  },
  "give-back": () => {
    throw new GiveBack("not now");
  },
  "too-much": () => ({ text: "x".repeat(1_100_000) }),
  /** Until it is told to stop; it does not fight it. */
  "wait": async (job) => {
    job.log("waiting\n");
    await new Promise((resolve) =>
      job.signal.addEventListener("abort", resolve)
    );
    throw new Error(`stopped: ${job.signal.reason.message}`);
  },
  /** Ends well when it is told to stop. */
  "yield": async (job) => {
    await new Promise((resolve) =>
      job.signal.addEventListener("abort", resolve)
    );
    return { stopped: String(job.secsLeft() < 1) };
  },
  "deaf": () => pause(60_000),
  "short": () => pause(20),
  "chatty": (job) => {
    for (let line = 0; line < 200; line++) job.log(`${line} `.repeat(200));
  },
};
