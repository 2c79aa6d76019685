// Words, and times in words. Partial ones are merged over these.

export const LABELS = {
  queued: 'Queued',
  running: 'Running',
  success: 'Success',
  failure: 'Failure',
  skipped: 'Skipped',
  cancelled: 'Cancelled',
  duration_seconds: '{s}s',
  duration_minutes: '{m}m {s}s',
  duration_hours: '{h}h {m}m',
  duration_days: '{d}d {h}h',
  graph: '{name}, {count} jobs',
  workflow: 'Workflow',
  group: 'group of {count} jobs, {done} done',
  needs: 'needs {names}',
  more: '{names} and {count} more',
  paused: 'Paused',
  kept: 'kept from an earlier run',
  attempt: 'attempt {n}',
  status: '{name}: {status}',
  many: '{count} jobs: {status}',
  controls: 'View',
  zoom_in: 'Zoom in',
  zoom_out: 'Zoom out',
  fit: 'Fit the whole graph',
  empty: 'No jobs',
}

/** @typedef {typeof LABELS} Labels */

/** @param {...any} partial later ones win @returns {Labels} */
export function mergeLabels(...partial) {
  const merged = { ...LABELS }
  for (const labels of partial) {
    for (const key of /** @type {(keyof Labels)[]} */ (Object.keys(LABELS))) {
      if (typeof labels?.[key] === 'string') merged[key] = labels[key]
    }
  }
  return merged
}

/** "{name}: {status}" with values; what has none stays. */
export function fill(/** @type {string} */ template, /** @type {Record<string, string | number>} */ values) {
  return template.replace(/\{(\w+)\}/g, (whole, key) => (Object.hasOwn(values, key) ? String(values[key]) : whole))
}

/** @param {number} ms @param {Labels} labels */
export function duration(ms, labels) {
  const secs = Math.max(0, Math.floor(ms / 1000))
  if (secs < 60) return fill(labels.duration_seconds, { s: secs })
  if (secs < 3600) return fill(labels.duration_minutes, { m: Math.floor(secs / 60), s: secs % 60 })
  if (secs < 86400) return fill(labels.duration_hours, { h: Math.floor(secs / 3600), m: Math.floor((secs % 3600) / 60) })
  return fill(labels.duration_days, { d: Math.floor(secs / 86400), h: Math.floor((secs % 86400) / 3600) })
}
