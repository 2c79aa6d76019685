// A worker that lives for one call: ../README.md. Whoever may claim may call it; it claims by the service key.

import { answer, door, Refusal } from "../_shared/answers.ts";
import { authorize } from "../_shared/callers.ts";
import { listSetting, numberSetting, setting } from "../_shared/settings.ts";
import { now } from "./clock.ts";
import { handlers } from "./handlers.ts";
import { Shift, type ShiftSettings } from "./shift.ts";

// The platform's; not there when Deno runs this by itself.
declare const EdgeRuntime:
  | { waitUntil(work: Promise<unknown>): void }
  | undefined;

const ANSWER_SECS = 150; // the platform waits no longer for an answer
const RESERVE_SECS = 10; // at the end, for reports; less of a short wall clock

const shifts = new Set<Shift>();

Deno.serve(door("worker", async (request, path) => {
  if (path !== "/") throw new Refusal(404, "not_found");
  if (!["GET", "POST"].includes(request.method)) {
    throw new Refusal(405, "method_not_allowed", null, null, {
      headers: { allow: "GET, OPTIONS, POST" },
    });
  }
  await authorize(request, "wfg_claim_jobs");
  const background = new URL(request.url).searchParams.get("background");
  const unattended = background === "true" || background === "1";
  const settings = settingsOf(unattended);
  const working = work(new Shift(settings, handlers));
  if (!unattended) return answer(JSON.stringify(await working));

  const logged = working.then(
    (summary) => console.log("worker:", JSON.stringify(summary)),
    (error) => console.error("worker failed:", error),
  );
  if (typeof EdgeRuntime !== "undefined") EdgeRuntime.waitUntil(logged);
  return answer(JSON.stringify({ worker_id: settings.workerId }), 202);
}));

async function work(shift: Shift): ReturnType<Shift["work"]> {
  shifts.add(shift);
  try {
    return await shift.work();
  } finally {
    shifts.delete(shift);
  }
}

/** The platform is about to end the isolate, earlier than its wall clock says: give back what can be. */
addEventListener("beforeunload", () => {
  for (const shift of shifts) shift.cut();
});

/** The wall clock counts from the start of the isolate, which may have served others before. */
function settingsOf(unattended: boolean): ShiftSettings {
  const wall = numberSetting("WFG_WALL_CLOCK_SECS", 150, 1, 86_400);
  const reserve = Math.min(RESERVE_SECS, wall / 5);
  const usable = wall - reserve;
  const job = numberSetting(
    "WFG_JOB_SECS",
    Math.min(60, usable / 2),
    0,
    usable,
  );
  const answerBy = unattended ? Infinity : now() + ANSWER_SECS * 1000;
  const endAt = Math.min(wall * 1000, answerBy) - reserve * 1000;
  return {
    workerId: setting("WFG_WORKER_ID") ??
      `edge-${setting("SB_REGION") ?? "local"}`,
    labels: listSetting("WFG_LABELS"),
    slots: Math.floor(numberSetting("WFG_SLOTS", 5, 1, 100)),
    prefetch: Math.floor(numberSetting("WFG_PREFETCH", 0, 0, 500)),
    leaseSecs: Math.floor(numberSetting("WFG_LEASE_SECS", 30, 1, 3600)),
    startUntil: endAt - job * 1000,
    endAt,
  };
}
