// Who calls. A service key and a JWT are judged here; a token of the database is judged in SQL, which gets its hash.

import { createLocalJWKSet, type JWTPayload, jwtVerify } from "jose";
import { Refusal } from "./answers.ts";
import { call, serviceKeys } from "./engine.ts";
import { jsonSetting, setting } from "./settings.ts";

const SCOPES: Record<string, string> = {
  wfg_worker: "worker",
  wfg_operator: "operator",
  wfg_reader: "reader",
};

/** Refuse the request unless its caller may call this function of the engine. */
export async function authorize(
  request: Request,
  functionName: string,
): Promise<void> {
  const credential = credentialOf(request.headers);
  if (credential === null) {
    throw new Refusal(
      401,
      "token_missing",
      "The request carries no token.",
      "Send the header Authorization: Bearer TOKEN.",
    );
  }
  if (await isServiceKey(credential)) return;

  let who: Record<string, string>;
  if (isJwt(credential)) {
    const role = await roleOf(credential);
    if (role === "service_role") return;
    if (!Object.hasOwn(SCOPES, role)) {
      throw new Refusal(
        403,
        "scope_missing",
        `The role ${JSON.stringify(role)} does not allow ${functionName}.`,
        "Use a token of a scope that does.",
      );
    }
    who = { p_scope: SCOPES[role] };
  } else {
    who = { p_sha256: hex(await sha256(credential)) };
  }
  await call("wfg_authorize", { p_function: functionName, ...who });
}

/** The token of a request: of Authorization, else of apikey, which clients of Supabase send. */
function credentialOf(headers: Headers): string | null {
  const bearer = /^bearer\s+(\S+)$/i.exec(headers.get("authorization") ?? "");
  return bearer?.[1] ?? (headers.get("apikey")?.trim() || null);
}

// --- keys ---

/** By their hashes: how far two texts are alike must not show in the time. */
async function isServiceKey(credential: string): Promise<boolean> {
  const given = hex(await sha256(credential));
  let found = false;
  for (const key of serviceKeys()) {
    if (hex(await sha256(key)) === given) found = true;
  }
  return found;
}

async function sha256(text: string): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}

// --- JWT ---

function isJwt(credential: string): boolean {
  return /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/.test(credential);
}

/** The role of a JWT that the project signed and that has not expired; 401 for all others. */
async function roleOf(jwt: string): Promise<string> {
  let claims: JWTPayload;
  try {
    claims = await verify(jwt);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw invalidJwt(error instanceof Error ? error.message : null);
  }
  return typeof claims.role === "string" ? claims.role : "anon";
}

/**
 * The project's signing keys are in SUPABASE_JWKS; the secret of before them, if it is still used, is in WFG_JWT_SECRET.
 * Which of the two is asked, the algorithm says, so that a public key is never taken for a secret.
 */
async function verify(jwt: string): Promise<JWTPayload> {
  const secret = setting("WFG_JWT_SECRET");
  const options = { requiredClaims: ["exp"] };
  if (algorithmOf(jwt) === "HS256") {
    if (secret === undefined) {
      throw invalidJwt("No WFG_JWT_SECRET is set to verify HS256 with.");
    }
    const key = new TextEncoder().encode(secret);
    return (await jwtVerify(jwt, key, { ...options, algorithms: ["HS256"] }))
      .payload;
  }
  const found = jsonSetting("SUPABASE_JWKS") ?? [];
  const set = Array.isArray(found) ? { keys: found } : found;
  const keys = createLocalJWKSet(
    set as Parameters<typeof createLocalJWKSet>[0],
  );
  const algorithms = ["ES256", "RS256", "EdDSA"];
  return (await jwtVerify(jwt, keys, { ...options, algorithms })).payload;
}

function algorithmOf(jwt: string): unknown {
  const header = jwt.split(".")[0].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(atob(header)).alg;
}

function invalidJwt(details: string | null): Refusal {
  return new Refusal(
    401,
    "token_invalid",
    details,
    "Sign in again, or use a token of the database: wfg token create makes it.",
  );
}
