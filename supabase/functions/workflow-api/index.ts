// The worker protocol as an edge function: ../README.md. Callers are authorized before anything of theirs is read.

import { answer, door, Refusal } from "../_shared/answers.ts";
import {
  type Fields,
  isNumber,
  readFields,
  storable,
} from "../_shared/body.ts";
import { authorize } from "../_shared/callers.ts";
import { call } from "../_shared/engine.ts";
import { type Route, ROUTES, type Taken } from "./routes.ts";

Deno.serve(door("workflow-api", async (request, path) => {
  const [route, inPath] = find(request.method, path);
  await authorize(request, route.calls);
  const args = argumentsOf(route, await fieldsOf(request, route, inPath));
  const text = await call(route.calls, args);
  const created = route.created && JSON.parse(text).created === true;
  return answer(text, created ? route.created : 200);
}));

// --- the route ---

/** The route of a path, and what the path says: 404 for an unknown path, 405 for a method that it has not. */
function find(method: string, path: string): [Route, Fields] {
  try {
    decodeURIComponent(path);
  } catch {
    throw new Refusal(400, "invalid_request", "the path is not UTF-8");
  }
  const allowed = new Set<string>(["OPTIONS"]);
  for (const route of ROUTES) {
    for (const pattern of route.paths) {
      const fields = match(pattern, path);
      if (fields === null) continue;
      if (route.method === method) return [route, fields];
      allowed.add(route.method);
    }
  }
  if (allowed.size === 1) throw new Refusal(404, "not_found");
  throw new Refusal(405, "method_not_allowed", null, null, {
    headers: { allow: [...allowed].sort().join(", ") },
  });
}

/** Ids may hold anything, a slash too, as %2F: a path is parted first, then decoded. */
function match(pattern: string, path: string): Fields | null {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const fields: Fields = {};
  for (const [at, name] of wanted.entries()) {
    if (!name.startsWith(":")) {
      if (given[at] !== name) return null;
      continue;
    }
    if (given[at] === "") return null;
    fields[name.slice(1)] = decodeURIComponent(given[at]);
  }
  return fields;
}

// --- its arguments ---

/** The path wins over the body. A route whose path says all that it must know needs no body. */
async function fieldsOf(
  request: Request,
  route: Route,
  inPath: Fields,
): Promise<Fields> {
  const elsewhere = Object.keys(route.takes).filter((name) =>
    !Object.hasOwn(inPath, name)
  );
  if (elsewhere.length === 0) return inPath;
  if (request.method === "GET") {
    return { ...queryOf(request), ...inPath };
  }
  const body = await readFields(request);
  if (body === null) {
    throw new Refusal(400, "invalid_json", "the body is empty");
  }
  return { ...body, ...inPath };
}

function queryOf(request: Request): Fields {
  const query = new URL(request.url).searchParams;
  const names = [...query.keys()];
  const repeated = names.find((name, at) => names.indexOf(name) !== at);
  if (repeated !== undefined) {
    throw new Refusal(
      400,
      "invalid_request",
      `${repeated}: occurs twice in the query`,
    );
  }
  return Object.fromEntries(query);
}

/** What the engine is called with. Fields that are unknown are ignored. */
function argumentsOf(route: Route, fields: Fields): Fields {
  const args: Fields = {};
  const problems: string[] = [];
  for (const [name, taken] of Object.entries(route.takes)) {
    const [parameter, , optional] = taken;
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (value === undefined || (value === null && optional === "null")) {
      if (!optional) problems.push(`${name}: is missing`);
      continue;
    }
    const problem = problemOf(value, taken);
    if (problem !== null) problems.push(`${name}: ${problem}`);
    else args[parameter] = cleaned(value, taken);
  }
  if (problems.length > 0) {
    throw new Refusal(422, "invalid_request", problems.join("; "));
  }
  return args;
}

// An offset is demanded: a time without one would be that of whatever zone the database is in.
const INSTANT =
  /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?)$/;

function problemOf(value: unknown, [, kind]: Taken): string | null {
  switch (kind) {
    case "text":
    case "printed":
      return typeof value === "string" ? null : "must be a string";
    case "instant":
      return typeof value === "string" && INSTANT.test(value)
        ? null
        : "must be an instant with its offset, such as 2030-01-01T00:00:00Z";
    case "number":
      return isNumber(value) ? null : "must be a number";
    case "boolean":
      return typeof value === "boolean" ? null : "must be true or false";
    case "list":
    case "chunks":
    case "reports":
      return Array.isArray(value) ? null : "must be an array";
    case "object":
      return typeof value === "object" && value !== null &&
          !Array.isArray(value) && !isNumber(value)
        ? null
        : "must be an object";
  }
}

/** What a process printed is made storable. */
function cleaned(value: unknown, [, kind]: Taken): unknown {
  const clean = (item: unknown, field: string) => {
    const text = (item as Fields | null)?.[field];
    return typeof text === "string"
      ? { ...(item as Fields), [field]: storable(text) }
      : item;
  };
  if (kind === "printed") return storable(value as string);
  if (kind === "chunks") {
    return (value as unknown[]).map((item) => clean(item, "data"));
  }
  if (kind === "reports") {
    return (value as unknown[]).map((item) => clean(item, "error"));
  }
  return value;
}
