// The states of jobs and runs: each has a colour and a shape of its own.

import { ICONS } from '../graph/icons.js'
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
  const path = h('path', { d: ICONS[state] ?? '', 'fill-rule': 'evenodd' })
  return h('svg', { class: `icon ${state}`, viewBox: '0 0 16 16', 'aria-hidden': 'true' }, path)
}

/** Shape and word. */
export function badge(state, more = null) {
  return h('span', { class: `badge ${state}` }, icon(state), h('span', null, labelOf(state), more))
}
