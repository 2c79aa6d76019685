// The states of jobs and runs: each has a colour and a shape of its own.

import { h } from './dom.js'

export const ENDED = new Set(['success', 'failure', 'skipped', 'cancelled'])

export const STATES = ['queued', 'running', 'success', 'failure', 'skipped', 'cancelled']

const LABELS = {
  queued: 'Queued',
  running: 'Running',
  success: 'Success',
  failure: 'Failure',
  skipped: 'Skipped',
  cancelled: 'Cancelled',
}

// A dashed circle; a part of a ring that turns; a disc with a check; an octagon with a cross; a circle with an arrow past
// it; a square with a bar.
const SHAPES = {
  queued: [['circle', { cx: 8, cy: 8, r: 6, fill: 'none', 'stroke-dasharray': '2.2 1.57' }]],
  running: [
    ['circle', { cx: 8, cy: 8, r: 6, fill: 'none', class: 'faint' }],
    ['path', { d: 'M8 2a6 6 0 0 1 6 6', fill: 'none', class: 'turning' }],
    ['circle', { cx: 8, cy: 8, r: 2, class: 'full' }],
  ],
  success: [
    ['circle', { cx: 8, cy: 8, r: 7, class: 'full' }],
    ['path', { d: 'm4.8 8.3 2.2 2.2 4.2-4.6', fill: 'none', class: 'mark' }],
  ],
  failure: [
    ['path', { d: 'M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z', class: 'full' }],
    ['path', { d: 'm5.4 5.4 5.2 5.2m0-5.2-5.2 5.2', fill: 'none', class: 'mark' }],
  ],
  skipped: [
    ['circle', { cx: 8, cy: 8, r: 6.2, fill: 'none' }],
    ['path', { d: 'm5 5 3 3-3 3m3.2-6 3 3-3 3', fill: 'none' }],
  ],
  cancelled: [
    ['rect', { x: 1.8, y: 1.8, width: 12.4, height: 12.4, rx: 2, fill: 'none' }],
    ['path', { d: 'M5 8h6', fill: 'none', class: 'thick' }],
  ],
}

const rank = (state) => (ENDED.has(state) ? 2 : state === 'running' ? 1 : 0)

/** Whether this is what becomes of that, or the same: of two {state, attempt}. */
export function isLater(after, before) {
  const more = (after.attempt ?? 0) - (before.attempt ?? 0)
  return more > 0 || (more === 0 && rank(after.state) >= rank(before.state))
}

export function labelOf(state) {
  return LABELS[state] ?? state
}

/** The shape alone, for where the word stands beside it. */
export function icon(state) {
  const shapes = (SHAPES[state] ?? []).map(([tag, attributes]) => h(tag, attributes))
  return h('svg', { class: `icon ${state}`, viewBox: '0 0 16 16', 'aria-hidden': 'true' }, shapes)
}

/** Shape and word. */
export function badge(state, more = null) {
  return h('span', { class: `badge ${state}` }, icon(state), h('span', null, labelOf(state), more))
}
