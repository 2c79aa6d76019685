// When each job of a run waited, was queued and ran, attempt by attempt.

import { now } from './api.js'
import { h } from './dom.js'
import { clock, counted, duration } from './format.js'
import { link, name } from './parts.js'
import { ENDED, icon, labelOf } from './states.js'

const ROWS = 300
const TICK_MS = 1000
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800].map(
  (s) => s * 1000,
)

/** attempts: those that did not end their job, and cancelled ones. */
export function timeline(page, run, attempts) {
  const isOver = ENDED.has(run.state)
  const begin =
    run.started_at_ms === null
      ? run.created_at_ms
      : Math.min(run.started_at_ms, Math.max(run.created_at_ms, run.start_at_ms ?? 0))
  const end = Math.max((isOver && run.finished_at_ms) || now(), begin + 1000)
  if (!isOver) tickOf(page)

  page.timelineRows ??= ROWS
  const rest = run.jobs.length - page.timelineRows
  const earlier = grouped(attempts)
  const rows = run.jobs
    .slice(0, page.timelineRows)
    .map((job) => ({ job, spans: spansOf(run, job, earlier.get(job.job_id) ?? [], begin, end) }))
  return h(
    'div',
    { class: 'timeline' },
    h(
      'p',
      { class: 'legend' },
      [
        ['waits', 'Waits for other jobs'],
        ['queued', 'Queued'],
        ['running', 'Running'],
        ['success', 'Success'],
        ['failure', 'Failure'],
        ['cancelled', 'Cancelled'],
      ].map(([kind, text]) => h('span', { key: kind }, h('span', { class: `span ${kind}` }), text)),
    ),
    h(
      'div',
      { class: 'scrolls', role: 'region', tabindex: 0, 'aria-label': 'Timeline' },
      h(
        'div',
        { class: 'chart' },
        axis(begin, end),
        h(
          'ul',
          null,
          rows.map(({ job, spans }) =>
            h(
              'li',
              { key: job.job_id },
              h(
                'a',
                { href: link`runs/${run.run_id}/jobs/${job.job_id}` },
                icon(job.state),
                h('span', { class: 'unseen' }, labelOf(job.state), ': '),
                name(job.name),
              ),
              h(
                'div',
                { class: 'track', role: 'img', 'aria-label': spans.map(told).join(', ') || 'has not begun' },
                spans.map((span, place) => bar(span, place, begin, end)),
              ),
              h('span', { class: 'took number' }, job.kept ? 'kept' : tookOf(spans) || labelOf(job.state).toLowerCase()),
            ),
          ),
        ),
      ),
    ),
    rest > 0 &&
      h(
        'p',
        null,
        h(
          'button',
          { type: 'button', onclick: () => ((page.timelineRows += 1000), page.update()) },
          `Show more of the ${counted(rest, 'other job')}`,
        ),
      ),
  )
}

function grouped(attempts) {
  const found = new Map()
  for (const each of attempts) {
    if (!found.has(each.job_id)) found.set(each.job_id, [])
    found.get(each.job_id).push(each)
  }
  return found
}

/** Drawn anew each second, while it is looked at. */
function tickOf(page) {
  if (page.ticks) return
  page.ticks = setTimeout(() => {
    page.ticks = null
    if (!page.signal.aborted) page.update()
  }, TICK_MS)
}

/**
 * [{kind, from, to, text}] in the order of time. When a job could begin is not kept once it has ended: it is when the last
 * of what it needs had ended. Between two attempts it waits for its backoff, and for a worker.
 */
function spansOf(run, job, earlier, begin, end) {
  if (job.kept) return []
  const spans = []
  const needs = job.needs.map((need) => run.byId.get(need)).filter(Boolean)
  const areDone = needs.every((need) => need.state === 'success')
  const ready = areDone ? Math.max(begin, ...needs.map((need) => (need.kept ? 0 : need.finished_at_ms))) : null
  let at = begin
  const add = (kind, to, text) => {
    if (to > at) spans.push({ kind, from: at, to: Math.min(to, end), text })
    at = Math.max(at, to)
  }
  const isWaiting = job.state === 'queued' || job.state === 'running'
  if (ready === null) {
    if (isWaiting) add('waits', end, 'waits for other jobs')
    return spans
  }
  add('waits', ready, 'waited for other jobs')
  for (const attempt of earlier) {
    add('queued', attempt.started_at_ms, 'queued')
    add(
      attempt.outcome === 'cancelled' ? 'cancelled' : 'failure',
      attempt.finished_at_ms,
      `attempt ${attempt.attempt + 1}: ${attempt.outcome.replaceAll('_', ' ')}`,
    )
  }
  const isLast = earlier.some((attempt) => attempt.attempt === job.attempt && attempt.outcome === 'cancelled')
  if (job.started_at_ms !== null && !isLast) {
    add('queued', job.started_at_ms, 'queued')
    const last = job.attempt ? `attempt ${job.attempt + 1}: ` : ''
    add(
      job.state === 'queued' ? 'queued' : job.state,
      job.finished_at_ms ?? end,
      last + labelOf(job.state).toLowerCase(),
    )
  } else if (isWaiting) {
    if (job.ready_at_ms > end) add('waits', end, 'delayed')
    else add('queued', end, 'queued')
  }
  return spans
}

const told = ({ text, from, to }) => `${text} ${duration(to - from)}`

function tookOf(spans) {
  const ran = spans.filter(({ kind }) => kind !== 'waits' && kind !== 'queued')
  return ran.length ? duration(ran.reduce((sum, { from, to }) => sum + to - from, 0)) : ''
}

function bar(span, place, begin, end) {
  const share = (ms) => `${((100 * ms) / (end - begin)).toFixed(3)}%`
  return h('span', {
    key: place,
    class: `span ${span.kind}`,
    title: `${told(span)}, from ${clock(span.from)}`,
    style: { left: share(span.from - begin), width: share(span.to - span.from) },
  })
}

function axis(begin, end) {
  const step = STEPS.find((each) => (end - begin) / each <= 6) ?? STEPS.at(-1)
  const marks = []
  for (let at = 0; at <= end - begin; at += step) marks.push(at)
  return h(
    'div',
    { class: 'axis', 'aria-hidden': 'true' },
    h(
      'div',
      { class: 'marks' },
      marks.map((at) =>
        h('span', { key: at, style: { left: `${((100 * at) / (end - begin)).toFixed(3)}%` } }, at ? duration(at).replace(/ 0\w$/, '') : '0'),
      ),
    ),
  )
}
