// Your handlers: a job whose `labels` in the workflow file name one of them comes here. Replace the example.

import { type Handler, NonRetryable } from "./job.ts";

export const handlers: Record<string, Handler> = {
  /** A greeting, as an output of the job. */
  "edge-hello": (job) => {
    const { who = "world" } = job.inputs;
    if (typeof who !== "string") throw new NonRetryable("who must be a text");
    job.log(`greeting ${who}`);
    return { text: `Hello, ${who}!` };
  },
};
