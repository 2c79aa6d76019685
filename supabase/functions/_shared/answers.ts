// Answers: a function's own text, or the four fields of an error, which all doors share. And CORS.

import { listSetting } from "./settings.ts";

/** Refuses a request. message: a constant slug. code: by default PT and the status, as the engine's own. */
export class Refusal extends Error {
  readonly code: string;
  readonly headers: Record<string, string>;

  constructor(
    readonly status: number,
    message: string,
    readonly details: string | null = null,
    readonly hint: string | null = null,
    options: { code?: string; headers?: Record<string, string> } = {},
  ) {
    super(message);
    this.code = options.code ?? `PT${status}`;
    this.headers = options.headers ?? {};
  }

  /** Nobody refused: the same call may succeed later. */
  get isPassing(): boolean {
    return this.status >= 500 || this.status === 408 || this.status === 429;
  }

  answer(): Response {
    const { code, message, details, hint } = this;
    const headers = { ...STATUS_HEADERS[this.status], ...this.headers };
    const fields = JSON.stringify({ code, message, details, hint });
    return answer(fields, this.status, headers);
  }
}

const STATUS_HEADERS: Record<number, Record<string, string>> = {
  401: { "www-authenticate": "Bearer" },
  429: { "retry-after": "1" },
  503: { "retry-after": "1" },
};

/** text: JSON, sent as it is. */
export function answer(
  text: string,
  status = 200,
  headers: Record<string, string> = {},
): Response {
  const type = { "content-type": "application/json" };
  return new Response(text, { status, headers: { ...type, ...headers } });
}

/** A function for Deno.serve: its refusals are answered, its bugs are logged and told as nothing but that. */
export function door(
  name: string,
  handle: (request: Request, path: string) => Promise<Response>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const origin = allowedOrigin(request);
    if (request.method === "OPTIONS") return preflight(request, origin);
    let response: Response;
    try {
      response = await handle(request, pathOf(request, name));
    } catch (error) {
      response = refusalOf(error, name).answer();
    }
    await discard(request);
    if (origin !== null) {
      response.headers.set("access-control-allow-origin", origin);
    }
    response.headers.append("vary", "origin");
    return response;
  };
}

const MAX_DISCARDED_BYTES = 16 * 1024 * 1024;

/** Take what is left of the body, and keep nothing: Supabase's runtime sends no answer while one is under way. */
async function discard(request: Request): Promise<void> {
  const { body, headers } = request;
  if (body === null || body.locked) return;
  if (Number(headers.get("content-length")) > MAX_DISCARDED_BYTES) return;
  const reader = body.getReader();
  let size = 0;
  try {
    while (size <= MAX_DISCARDED_BYTES) {
      const { done, value } = await reader.read();
      if (done) return;
      size += value.length;
    }
  } catch {
    // the caller hung up
  }
}

function refusalOf(error: unknown, name: string): Refusal {
  if (error instanceof Refusal) {
    if (error.message === "not_configured") {
      console.error(`${name}: ${error.details}`);
    }
    return error;
  }
  console.error(`${name} failed:`, error);
  return new Refusal(
    500,
    "internal_error",
    null,
    "The function's log says more.",
  );
}

/** The path behind the function's name: hosted functions see /NAME/…, others /functions/v1/NAME/…, or neither. */
export function pathOf(request: Request, name: string): string {
  const { pathname } = new URL(request.url);
  for (const prefix of [`/functions/v1/${name}`, `/${name}`]) {
    if (pathname === prefix) return "/";
    if (pathname.startsWith(`${prefix}/`)) return pathname.slice(prefix.length);
  }
  return pathname;
}

// --- CORS ---

/** What Access-Control-Allow-Origin says: CORS_ORIGINS is a list; unset, or * in it, every origin. */
function allowedOrigin(request: Request): string | null {
  const origins = listSetting("CORS_ORIGINS");
  if (origins.length === 0) return "*";
  if (origins.includes("*")) return "*";
  const origin = request.headers.get("origin");
  return origin !== null && origins.includes(origin) ? origin : null;
}

function preflight(request: Request, origin: string | null): Response {
  const asked = request.headers.get("access-control-request-headers");
  return new Response(null, {
    status: 204,
    headers: {
      ...(origin === null ? {} : { "access-control-allow-origin": origin }),
      "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
      "access-control-allow-headers": asked ??
        "authorization, x-client-info, apikey, content-type",
      "access-control-max-age": "600",
      "vary": "origin, access-control-request-headers",
    },
  });
}
