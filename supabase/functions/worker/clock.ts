// Time of this isolate, in milliseconds since its start: what the platform's wall clock counts, too.

const bornAt = performance.now();

export const now = (): number => performance.now() - bornAt;

/** Wait, but not beyond the signal. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, Math.max(ms, 0));
    signal?.addEventListener("abort", end);
  });
}
