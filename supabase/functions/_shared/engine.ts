// The way to the engine: supabase-js, which calls PostgREST with the service key. The key goes nowhere else.

import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { Refusal } from "./answers.ts";
import { jsonSetting, misconfigured, needed, setting } from "./settings.ts";

export const CALL_TIMEOUT_MS = 30_000;
const MAX_WAIT_SECS = 10;

/** Call public.<name>: its answer's text, untouched. A Refusal when the engine refuses or is out of reach. */
export async function call(
  name: string,
  args: Record<string, unknown>,
  timeoutMs = CALL_TIMEOUT_MS,
): Promise<string> {
  const stop = AbortSignal.timeout(timeoutMs);
  const { data, error, status } = await engine().rpc(name, args).abortSignal(
    stop,
  );
  if (error === null) return data as string;
  if (stop.aborted) {
    throw new Refusal(503, "timeout", `no answer in ${timeoutMs / 1000} s`);
  }
  throw refusalOf(status, error);
}

let client: SupabaseClient | undefined;

function engine(): SupabaseClient {
  client ??= createClient(needed("SUPABASE_URL"), serviceKeys()[0], {
    auth: {
      persistSession: false,
      autoRefreshToken: false,
      detectSessionInUrl: false,
    },
    global: { fetch: verbatim },
  });
  return client;
}

/** The keys of the project that may do everything, the one to use first. */
export function serviceKeys(): string[] {
  const named = Object.entries(jsonSetting("SUPABASE_SECRET_KEYS") ?? {});
  named.sort(([name]) => name === "default" ? -1 : 0);
  const keys = [
    ...named.map(([, key]) => key),
    setting("SUPABASE_SERVICE_ROLE_KEY"),
  ].filter((key): key is string => typeof key === "string" && key !== "");
  if (keys.length === 0) {
    throw misconfigured(
      "Neither SUPABASE_SECRET_KEYS nor SUPABASE_SERVICE_ROLE_KEY is set.",
    );
  }
  return keys;
}

/** supabase-js would parse an answer, and change numbers beyond 2^53: it gets the text as one JSON string. */
async function verbatim(
  input: RequestInfo | URL,
  init?: RequestInit,
): Promise<Response> {
  let response = await fetch(input, init);
  while (response.status === 429) { // nothing was done; the signal says how long this may go on
    const secs = Number(response.headers.get("retry-after"));
    if (!(secs > 0 && secs <= MAX_WAIT_SECS)) return response;
    await response.body?.cancel();
    await pause(secs * 1000, init?.signal ?? null);
    response = await fetch(input, init);
  }
  if (!response.ok) return response;
  return Response.json(await response.text(), { status: response.status });
}

/** Rejected as fetch is when the signal comes first. */
function pause(ms: number, stop: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    stop?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(stop.reason);
    }, { once: true });
  });
}

// --- refusals ---

interface RpcError {
  code?: string;
  message?: string;
  details?: string | null;
  hint?: string | null;
}

// What Postgres cannot cast, or cannot hold: an argument is wrong, and doors call that 422.
const CANNOT_CAST = new Set(
  "22003 22007 22008 22009 22021 22023 22P02 22P03 22P05 54001".split(" "),
);
const STATUS_OF: Record<string, number> = {
  "42501": 403,
  "23503": 409,
  "23505": 409,
  "08": 503,
  "25": 503,
  "40": 503,
  "53": 503,
  "55": 503,
  "57": 503,
  "58": 500,
  "XX": 500,
};

/** The same four fields and status as at /api, whatever PostgREST makes of what Postgres itself says. */
function refusalOf(status: number, error: RpcError): Refusal {
  const { code = "", message = "", details = null, hint = null } = error;
  if (/^PT\d{3}$/.test(code)) {
    return new Refusal(status, message, details, hint);
  }
  if (CANNOT_CAST.has(code)) {
    return new Refusal(422, "invalid_request", message, hint);
  }
  if (code === "PGRST202") {
    return new Refusal(
      500,
      "not_installed",
      message,
      "Push the migrations of wfg; if they are there: notify pgrst, 'reload schema'",
    );
  }
  if (/^PGRST3/.test(code) || (code === "" && [401, 403].includes(status))) {
    return misconfigured("The API refuses the key of this function.");
  }
  if (/^[0-9A-Z]{5}$/.test(code)) {
    const mapped = STATUS_OF[code] ?? STATUS_OF[code.slice(0, 2)] ?? 400;
    return new Refusal(mapped, message, details, hint, { code });
  }
  // No SQLSTATE: it was not the database that answered. What it said may name addresses, and stays here.
  console.error(`engine: status ${status}, ${code} ${message}`);
  return new Refusal(503, "unavailable", "The database's API did not answer.");
}
