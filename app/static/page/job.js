// One job of a run: its attempts, its log, what it took and handed on.

import { announce } from './announce.js'
import { get, nonce, path, post } from './api.js'
import { ask } from './dialog.js'
import { h } from './dom.js'
import { elapsed, when } from './format.js'
import { follow, Resource, seldom } from './live.js'
import { LogView } from './log.js'
import { actionProblem, button, head, labels, link, name, PAUSED, shortId, shown, table, visible } from './parts.js'
import { badge, ENDED, isLater, labelOf } from './states.js'

const RELOAD_MS = 500

export function jobView(page, runId, jobId) {
  page.title = jobId
  let log = null
  const detail = new Resource(page, async (options) => {
    const loaded = await get(path`api/runs/${runId}/jobs/${jobId}`, options)
    log ??= new LogView(page, runId, jobId, {
      name: `${loaded.workflow_id}-${jobId}`,
      hasEnded: ENDED.has(loaded.job.state),
    })
    return loaded
  })
  const run = new Resource(page, (options) => get(path`api/runs/${runId}`, options)) // once, for its inputs
  let runState = null
  const reload = seldom(RELOAD_MS, page.signal, detail.again)
  const key = nonce()
  follow(path`api/runs/${runId}/stream`, { signal: page.signal, onEvent: changed }).catch(() => {})

  function changed(event, data) {
    if (runState !== data.state) page.update()
    runState = data.state
    const change = data.jobs?.find((each) => each.job_id === jobId)
    const job = detail.data?.job
    if (!job) reload()
    if (!change || !job) return
    reload()
    if (!isLater(change, job)) return // it is loaded, or will be
    if (job.state !== change.state) announce(`${job.name}: ${labelOf(change.state)}`)
    Object.assign(job, change)
    page.update()
  }

  async function cancel() {
    await ask({
      title: 'Cancel this job',
      text: 'What needs it is skipped. It cannot be undone.',
      submit: 'Cancel the job',
      danger: true,
      act: () => post(path`api/runs/${runId}/jobs/${jobId}/cancel`),
    })
    await detail.again()
  }

  async function rerun() {
    const started = await post(path`api/runs/${runId}/rerun`, { from_job_id: jobId, idempotency_key: key })
    page.go(link`runs/${started.run_id}`)
  }

  function attempts({ job, attempts: earlier }) {
    const isTold = earlier.some(({ attempt, outcome }) => attempt === job.attempt && outcome === 'cancelled')
    const all = [...earlier]
    if (job.started_at_ms !== null && !isTold) all.push({ ...job, outcome: job.state })
    if (all.length < 2 && !earlier.length) return null
    const rows = all.map((each) =>
      h(
        'tr',
        { key: each.attempt },
        h('th', { scope: 'row', class: 'number' }, each.attempt + 1),
        h(
          'td',
          null,
          ENDED.has(each.outcome) || each.outcome === 'running'
            ? badge(each.outcome)
            : badge('failure', ` (${each.outcome.replaceAll('_', ' ')})`),
        ),
        h('td', null, each.worker_id ? name(each.worker_id) : '–'),
        h('td', null, when(each.started_at_ms)),
        h('td', null, elapsed(each.started_at_ms, each.finished_at_ms)),
        h('td', null, each.error ? name(each.error) : '–'),
      ),
    )
    return h(
      'section',
      { key: 'attempts' },
      h('h2', null, 'Attempts'),
      table('Attempts', ['Attempt', 'Outcome', 'Worker', 'Began', 'Took', 'Error'], rows),
    )
  }

  function pairs(title, object) {
    const entries = Object.entries(object ?? {})
    if (!entries.length) return null
    return h(
      'section',
      { key: title },
      h('h2', null, title),
      h(
        'dl',
        { class: 'pairs' },
        entries.map(([each, value]) =>
          h(
            'div',
            { key: each },
            h('dt', null, name(each)),
            h('dd', null, visible(typeof value === 'string' ? value : JSON.stringify(value))),
          ),
        ),
      ),
    )
  }

  function facts({ job, ran_in: ranIn, run_id: id, required_labels: required }) {
    const isBegun = job.started_at_ms !== null
    return [
      h(
        'p',
        { class: 'facts' },
        job.name !== jobId && h('span', { key: 'id' }, name(jobId)),
        h('span', { key: 'labels' }, labels(required)),
        isBegun && h('span', { key: 'began' }, 'began ', when(job.started_at_ms)),
        isBegun &&
          h(
            'span',
            { key: 'took' },
            ENDED.has(job.state) ? 'took ' : 'for ',
            elapsed(job.started_at_ms, job.finished_at_ms),
          ),
        job.attempt > 0 && h('span', { key: 'attempt' }, `attempt ${job.attempt + 1}`),
        job.worker_id && h('span', { key: 'worker' }, 'by ', name(job.worker_id)),
        job.group && h('span', { key: 'group' }, 'group ', name(job.group)),
        job.needs.length > 0 &&
          h(
            'span',
            { key: 'need' },
            'needs ',
            job.needs.map((need, place) => [
              place ? ', ' : '',
              h('a', { key: need, href: link`runs/${runId}/jobs/${need}` }, name(need)),
            ]),
          ),
      ),
      job.state === 'queued' &&
        job.ready_at_ms !== null &&
        h('p', { class: 'note', key: 'ready' }, 'It waits for a worker; ready ', when(job.ready_at_ms), '.'),
      job.state === 'queued' &&
        job.ready_at_ms === null &&
        h('p', { class: 'note', key: 'needs' }, 'It waits for other jobs.'),
      job.paused && h('p', { class: 'note', key: 'paused' }, `It is not handed out, for ${PAUSED[job.paused]}.`),
      job.kept &&
        h(
          'p',
          { class: 'note', key: 'kept' },
          'It did not run again: it is a success of ',
          h('a', { href: link`runs/${ranIn}/jobs/${jobId}` }, 'the run before ', shortId(ranIn)),
          '.',
        ),
      ranIn !== id && !job.kept && h('p', { class: 'note', key: 'ran' }, 'It ran in ', shortId(ranIn), '.'),
      job.error &&
        h(
          'div',
          { class: 'job-error', key: 'error' },
          h('strong', null, 'Error'),
          h('pre', { tabindex: 0 }, visible(job.error)),
        ),
    ]
  }

  return () => {
    const job = detail.data?.job
    const isOver = ENDED.has(runState ?? run.data?.state)
    if (job) page.title = `${labelOf(job.state)}: ${job.name}`
    return [
      h(
        'p',
        { class: 'crumbs' },
        detail.data && [
          h('a', { href: link`workflows/${detail.data.workflow_id}` }, name(detail.data.workflow_id)),
          ' / ',
        ],
        h('a', { href: link`runs/${runId}` }, 'run ', shortId(runId)),
      ),
      head(
        [name(job?.name ?? jobId), ' ', job && badge(job.state)],
        job && [
          !ENDED.has(job.state) && button(page, 'Cancel job', cancel, { kind: 'danger-plain' }),
          isOver && button(page, 'Re-run from here', rerun),
        ],
      ),
      shown(detail, (it) => [
        facts(it),
        actionProblem(page),
        attempts(it),
        h('section', { key: 'log' }, h('h2', null, 'Log'), log?.view()),
        pairs('Outputs', it.outputs),
        pairs('Inputs', run.data?.inputs),
        h(
          'section',
          { key: 'command' },
          h('h2', null, 'Command'),
          h('pre', { class: 'code', tabindex: 0 }, visible(it.command)),
        ),
      ]),
    ]
  }
}
