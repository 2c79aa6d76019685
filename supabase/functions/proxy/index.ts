// Option B: everything goes on to a `wfg serve` elsewhere, at WORKFLOW_API_URL. It judges the callers; nothing is
// added here, and answers are streamed through.

import { door, Refusal } from "../_shared/answers.ts";
import { needed, numberSetting } from "../_shared/settings.ts";

// Of one connection, or meant for this one alone; and what tells about the way here.
const NOT_FORWARDED = new Set([
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization"],
  ...["proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"],
  ...["host", "content-length", "accept-encoding", "cookie"],
]);
// fetch has decoded the body; and who may read it says this function's CORS.
const NOT_RETURNED = new Set([
  ...["connection", "keep-alive", "trailer", "transfer-encoding", "upgrade"],
  ...["content-encoding", "content-length", "set-cookie"],
]);

Deno.serve(door("proxy", async (request, path) => {
  const { search } = new URL(request.url);
  const base = needed("WORKFLOW_API_URL").replace(/\/+$/, "");
  const wait = numberSetting("PROXY_TIMEOUT_SECS", 60, 0.01, 400) * 1000;

  // Only until the answer begins: a stream may last.
  const gaveUp = new AbortController();
  const timer = setTimeout(() => gaveUp.abort(), wait);
  try {
    const response = await fetch(`${base}${path}${search}`, {
      method: request.method,
      headers: without(request.headers, NOT_FORWARDED),
      body: request.body,
      redirect: "manual",
      signal: AbortSignal.any([request.signal, gaveUp.signal]),
    });
    return new Response(response.body, {
      status: response.status,
      headers: without(response.headers, NOT_RETURNED),
    });
  } catch (error) {
    if (error instanceof Refusal) throw error;
    console.error("proxy:", error instanceof Error ? error.name : "", path);
    throw gaveUp.signal.aborted
      ? new Refusal(504, "upstream_timeout", `no answer in ${wait / 1000} s`)
      : new Refusal(502, "upstream_unreachable", "The server was not reached.");
  } finally {
    clearTimeout(timer);
  }
}));

function without(headers: Headers, names: Set<string>): Headers {
  const listed = (headers.get("connection") ?? "").toLowerCase().split(",")
    .map((name) => name.trim());
  const kept = new Headers();
  for (const [name, value] of headers) {
    const ours = name.startsWith("access-control-allow-") ||
      name.startsWith("sb-") || name.startsWith("x-forwarded-");
    if (!names.has(name) && !listed.includes(name) && !ours) {
      kept.append(name, value);
    }
  }
  return kept;
}
