// Which request is which call. Each route has the short path of the seed and that of `wfg serve`, so that clients and
// workers of the one work with the other. SQL judges the values; here it is only looked at their types.

type Kind =
  | "text"
  | "printed"
  | "number"
  | "boolean"
  | "list"
  | "object"
  | "instant"
  | "chunks"
  | "reports";
/** The parameter that a field becomes. "?": it may be left out; "null": that is the same as null. */
export type Taken = [parameter: string, kind: Kind, optional?: "?" | "null"];

export interface Route {
  method: "GET" | "POST" | "DELETE";
  /** :name is a field. Those that are not in the path are in the body, or of a GET in the query. */
  paths: string[];
  calls: string;
  takes: Record<string, Taken>;
  /** Of an answer that says "created": true. */
  created?: 201;
}

const lease_id: Taken = ["p_lease_id", "text"];
const claim: Record<string, Taken> = {
  worker_id: ["p_worker_id", "text"],
  labels: ["p_labels", "list"],
  lease_ttl_secs: ["p_ttl_secs", "number", "?"],
};

export const ROUTES: Route[] = [
  {
    method: "POST",
    paths: ["/claim", "/api/jobs/claim"],
    calls: "wfg_claim_job",
    takes: claim,
  },
  {
    method: "POST",
    paths: ["/claim-many", "/api/jobs/claim-many"],
    calls: "wfg_claim_jobs",
    takes: { ...claim, limit: ["p_limit", "number"] },
  },
  {
    method: "POST",
    paths: ["/complete", "/api/jobs/:lease_id/complete"],
    calls: "wfg_complete_job",
    takes: { lease_id, outputs: ["p_outputs", "object", "?"] },
  },
  {
    method: "POST",
    paths: ["/fail", "/api/jobs/:lease_id/fail"],
    calls: "wfg_fail_job",
    takes: {
      lease_id,
      error: ["p_error", "printed"],
      retryable: ["p_retryable", "boolean", "?"],
    },
  },
  {
    method: "POST",
    paths: ["/report-many", "/api/jobs/report-many"],
    calls: "wfg_report_jobs",
    takes: {
      reports: ["p_reports", "reports"],
      strict: ["p_strict", "boolean", "?"],
    },
  },
  {
    method: "POST",
    paths: ["/heartbeat", "/api/jobs/:lease_id/heartbeat"],
    calls: "wfg_renew_lease",
    takes: { lease_id },
  },
  {
    method: "POST",
    paths: ["/release", "/api/jobs/:lease_id/release"],
    calls: "wfg_release_job",
    takes: { lease_id },
  },
  {
    method: "POST",
    paths: ["/logs", "/api/jobs/:lease_id/logs"],
    calls: "wfg_append_logs",
    takes: { lease_id, chunks: ["p_chunks", "chunks"] },
  },
  {
    method: "GET",
    paths: ["/cancelled", "/api/jobs/:workflow_id/:job_id/cancelled"],
    calls: "wfg_is_cancelled",
    takes: {
      workflow_id: ["p_workflow_id", "text"],
      job_id: ["p_job_id", "text"],
    },
  },
  {
    method: "POST",
    paths: ["/start", "/api/workflows/:workflow_id/runs"],
    calls: "wfg_start_run",
    created: 201,
    takes: {
      workflow_id: ["p_workflow_id", "text"],
      inputs: ["p_inputs", "object", "?"],
      idempotency_key: ["p_idempotency_key", "text", "null"],
      start_at: ["p_start_at", "instant", "null"],
      started_by: ["p_started_by", "text", "null"],
      reason: ["p_reason", "text", "null"],
    },
  },
  {
    method: "GET",
    paths: ["/status", "/api/workflows/:workflow_id/status"],
    calls: "wfg_get_status",
    takes: { workflow_id: ["p_workflow_id", "text"] },
  },
  {
    method: "GET",
    paths: ["/run", "/api/runs/:run_id"],
    calls: "wfg_get_run",
    takes: { run_id: ["p_run_id", "text"] },
  },
  {
    method: "POST",
    paths: ["/api/workers/register"],
    calls: "wfg_register_worker",
    takes: { worker_id: ["p_worker_id", "text"], labels: ["p_labels", "list"] },
  },
  {
    method: "POST",
    paths: ["/api/workers/:worker_id/heartbeat"],
    calls: "wfg_heartbeat_worker",
    takes: { worker_id: ["p_worker_id", "text"] },
  },
  {
    method: "DELETE",
    paths: ["/api/workers/:worker_id"],
    calls: "wfg_deregister_worker",
    takes: { worker_id: ["p_worker_id", "text"] },
  },
];
