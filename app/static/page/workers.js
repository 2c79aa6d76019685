// Workers: who lives, and what they run.

import { get, query } from './api.js'
import { h } from './dom.js'
import { counted, elapsed, when } from './format.js'
import { Resource } from './live.js'
import { labels, link, name, shown, table } from './parts.js'

const POLL_MS = 3000
const ORDER = ['busy', 'idle', 'offline']

export function workersView(page) {
  page.title = 'Workers'
  const workers = new Resource(
    page,
    async (options) => {
      const [known, running] = await Promise.all([
        get('api/workers', options),
        get(query('api/jobs', { state: 'running', limit: 1000 }), options),
      ])
      const jobs = new Map()
      for (const job of running.items) jobs.set(job.worker_id, [...(jobs.get(job.worker_id) ?? []), job])
      known.sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status) || a.worker_id.localeCompare(b.worker_id))
      return { known, jobs }
    },
    { every: POLL_MS },
  )

  function row(worker, jobs) {
    return h(
      'tr',
      { key: worker.worker_id },
      h('td', null, h('span', { class: `presence ${worker.status}` }, worker.status)),
      h('th', { scope: 'row' }, name(worker.worker_id)),
      h('td', null, worker.labels.length ? labels(worker.labels) : h('span', { class: 'quiet' }, 'none')),
      h(
        'td',
        null,
        jobs.map((job) =>
          h(
            'div',
            { key: `${job.run_id} ${job.job_id}` },
            h('a', { href: link`runs/${job.run_id}/jobs/${job.job_id}` }, name(job.workflow_id), ' / ', name(job.name)),
            ' ',
            elapsed(job.started_at_ms),
          ),
        ),
        !jobs.length && '–',
      ),
      h('td', null, when(worker.last_heartbeat_ms)),
    )
  }

  return () => [
    h('h1', { tabindex: -1 }, 'Workers'),
    shown(workers, ({ known, jobs }) => {
      if (!known.length) {
        return h(
          'div',
          { class: 'empty' },
          h('p', null, 'No worker is known.'),
          h('p', null, h('code', null, 'wfg worker'), ' is one.'),
        )
      }
      const count = (status) => known.filter((worker) => worker.status === status).length
      return [
        h(
          'p',
          { class: 'facts' },
          h('span', null, counted(known.length, 'worker')),
          ORDER.map((status) => h('span', { key: status }, `${count(status)} ${status}`)),
        ),
        table(
          'Workers',
          ['Status', 'Worker', 'Labels', 'Runs', 'Last heard of'],
          known.map((worker) => row(worker, jobs.get(worker.worker_id) ?? [])),
        ),
      ]
    }),
  ]
}
