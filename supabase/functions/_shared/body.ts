// The body of a request: a JSON object of a bounded size, its numbers as they were written.

import { Refusal } from "./answers.ts";

export const MAX_BODY_BYTES = 2 * 1024 * 1024;

export type Fields = Record<string, unknown>;

/** Of a request without a body: null. */
export async function readFields(request: Request): Promise<Fields | null> {
  const bytes = await readBytes(request);
  if (bytes.length === 0) return null;
  const media = (request.headers.get("content-type") ?? "").split(";")[0].trim()
    .toLowerCase();
  if (!/^application\/(.+\+)?json$/.test(media)) {
    throw new Refusal(
      415,
      "unsupported_media_type",
      "the body must be sent as application/json",
    );
  }
  const value = parse(bytes);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal(422, "invalid_request", "the body must be an object");
  }
  return value as Fields;
}

async function readBytes(request: Request): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length")) > MAX_BODY_BYTES) {
    throw tooLarge();
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MAX_BODY_BYTES) {
      reader.releaseLock(); // the rest is discarded
      throw tooLarge();
    }
    parts.push(value);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function tooLarge(): Refusal {
  return new Refusal(
    413,
    "body_too_large",
    `at most ${MAX_BODY_BYTES} bytes are taken`,
  );
}

function parse(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes);
    return JSON.parse(
      text,
      keepNumber as (key: string, value: unknown) => unknown,
    );
  } catch (error) {
    throw new Refusal(400, "invalid_json", (error as Error).message);
  }
}

// JSON.rawJSON and the reviver's context are newer than TypeScript's library.
const { rawJSON, isRawJSON } = JSON as unknown as {
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): boolean;
};

/** A number that JavaScript would write otherwise, such as one beyond 2^53, stays the text that it was. */
function keepNumber(
  _: string,
  value: unknown,
  context: { source: string },
): unknown {
  return typeof value === "number" && String(value) !== context.source
    ? rawJSON(context.source)
    : value;
}

export function isNumber(value: unknown): boolean {
  return typeof value === "number" || isRawJSON(value);
}

/** What a process printed may hold what Postgres cannot: a report must not be lost by that. */
export function storable(text: string): string {
  return text.replaceAll("\0", "\ufffd").toWellFormed();
}
