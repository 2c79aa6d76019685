// What a handler gets, what it may answer, and how it says that it cannot.

/** Names and values, handed on to the jobs that need this one. What is no text goes out as JSON. */
export type Outputs = Record<string, unknown>;

export type Handler = (job: Job) => Promise<Outputs | void> | Outputs | void;

/** Throw it when trying again is useless: the job fails, whatever its retries. */
export class NonRetryable extends Error {}

/** Throw it to give the job back, as if it had not been claimed: no retry is consumed. This call then claims no more. */
export class GiveBack extends Error {}

export class Job {
  readonly id: string;
  readonly runId: string;
  readonly workflowId: string;
  /** Counts from 0. */
  readonly attempt: number;
  readonly labels: string[];
  /** Of the run. */
  readonly inputs: Record<string, unknown>;
  /** By the id of the job that they come from. */
  readonly upstreamOutputs: Record<string, Record<string, string>>;
  readonly env: Record<string, string>;
  /** The job's `run` or steps, which nobody runs here. */
  readonly script: string;

  /**
   * signal: aborted when the job must stop: it was cancelled, its lease was lost, its timeout or this call's time is
   * over. Hand it to fetch. What a handler does afterwards does not count, unless it ends well within two seconds.
   */
  constructor(
    claim: Claim,
    readonly signal: AbortSignal,
    /** Add to the job's log. */
    readonly log: (text: string) => void,
    /** Until signal is aborted, if nothing else comes first. */
    readonly secsLeft: () => number,
  ) {
    this.id = claim.job.job_id;
    this.runId = claim.job.run_id;
    this.workflowId = claim.job.workflow_id;
    this.attempt = claim.job.attempt;
    this.labels = claim.job.required_labels;
    this.inputs = claim.job.inputs;
    this.upstreamOutputs = claim.job.upstream_outputs;
    this.env = claim.job.env;
    this.script = claim.job.script;
  }
}

/** What the engine answers to a claim, as far as it is used here. */
export interface Claim {
  job: {
    job_id: string;
    run_id: string;
    workflow_id: string;
    attempt: number;
    required_labels: string[];
    inputs: Record<string, unknown>;
    upstream_outputs: Record<string, Record<string, string>>;
    env: Record<string, string>;
    script: string;
    timeout_secs: number | null;
  };
  lease: { lease_id: string; ttl_secs: number };
}
