// What a function finds in its environment. A variable that is empty is none.

import { Refusal } from "./answers.ts";

export function setting(name: string): string | undefined {
  return Deno.env.get(name)?.trim() || undefined;
}

export function needed(name: string): string {
  const value = setting(name);
  if (value === undefined) throw misconfigured(`${name} is not set.`);
  return value;
}

/** a, b: the parts between commas. */
export function listSetting(name: string): string[] {
  const parts = (setting(name) ?? "").split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "");
}

/** A number of the environment; what is no number within the limits is a mistake that is told. */
export function numberSetting(
  name: string,
  otherwise: number,
  least: number,
  most: number,
): number {
  const text = setting(name);
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!(value >= least && value <= most)) {
    throw misconfigured(`${name} must be a number from ${least} to ${most}.`);
  }
  return value;
}

/** JSON of the environment, such as SUPABASE_SECRET_KEYS. */
export function jsonSetting(name: string): unknown {
  const text = setting(name);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw misconfigured(`${name} is no JSON.`); // the parser's reason would quote it
  }
}

export function misconfigured(details: string): Refusal {
  return new Refusal(
    500,
    "not_configured",
    details,
    "Set it with `supabase secrets set`.",
  );
}
