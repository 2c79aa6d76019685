// The queue: what waits for which labels, what nobody can take, what is paused.

import { get, post, query } from './api.js'
import { ask, field, reasonField } from './dialog.js'
import { h } from './dom.js'
import { counted, duration, elapsed, when } from './format.js'
import { Resource } from './live.js'
import { actionProblem, actionsHead, button, head, labels, link, name, pausedMark, shown, table } from './parts.js'

const POLL_MS = 3000
const STUCK = 50

export function queueView(page) {
  page.title = 'Queue'
  const queue = new Resource(
    page,
    async (options) => {
      const [lanes, pauses] = await Promise.all([get('api/queue', options), get('api/pauses?limit=1000', options)])
      const labelsNobodyHas = lanes.items.filter((lane) => lane.no_worker && lane.ready)
      let stuck = []
      if (labelsNobodyHas.length) {
        const [label] = labelsNobodyHas[0].required_labels
        const ready = await get(
          query('api/jobs', { state: 'ready', limit: 1000, label: labelsNobodyHas.length === 1 ? label : null }),
          options,
        )
        stuck = ready.items.filter((job) => job.no_worker)
      }
      return { lanes, pauses: pauses.items, stuck }
    },
    { every: POLL_MS },
  )

  async function pauseLabels(list) {
    await ask({
      title: 'Pause labels',
      text: 'No job that requires all of these labels is handed out until they are resumed. What runs goes on.',
      submit: 'Pause',
      fields: () => [
        field('Labels', h('input', { name: 'labels', value: list.join(', '), required: true, autocomplete: 'off' }), {
          hint: 'Separated by commas.',
        }),
        reasonField(),
      ],
      act: ({ labels: given, reason }) =>
        post('api/labels/pause', {
          labels: given.value
            .split(',')
            .map((each) => each.trim())
            .filter(Boolean),
          reason: reason.value.trim() || null,
        }),
    })
    await queue.again()
  }

  async function freeze() {
    await ask({
      title: 'Pause everything',
      text: 'No job at all is handed out until this is resumed. What runs goes on.',
      submit: 'Pause everything',
      danger: true,
      fields: reasonField,
      act: ({ reason }) => post('api/freeze', { reason: reason.value.trim() || null }),
    })
    await queue.again()
  }

  async function resume(pause) {
    if (pause.kind === 'all') await post('api/thaw')
    else if (pause.kind === 'labels') await post('api/labels/resume', { labels: pause.labels })
    else await post(`api/workflows/${encodeURIComponent(pause.workflow_id)}/resume`)
    await queue.again()
  }

  function pauses(list) {
    if (!list.length) return null
    const rows = list.map((pause) => {
      const what =
        { all: 'Everything', labels: labels(pause.labels ?? []) }[pause.kind] ??
        h('a', { href: link`workflows/${pause.workflow_id}` }, name(pause.workflow_id ?? ''))
      return h(
        'tr',
        { key: `${pause.kind} ${pause.workflow_id} ${pause.labels}` },
        h('th', { scope: 'row' }, what),
        h('td', null, when(pause.paused_at_ms)),
        h('td', null, pause.paused_by ? name(pause.paused_by) : '–'),
        h('td', null, pause.reason ? name(pause.reason) : '–'),
        h(
          'td',
          { class: 'actions' },
          button(page, `Resume${pause.kind === 'all' ? '' : ` ${pause.workflow_id ?? pause.labels.join(', ')}`}`, () =>
            resume(pause),
          ),
        ),
      )
    })
    return h(
      'section',
      { key: 'pauses' },
      h('h2', null, 'Pauses'),
      table('Pauses', ['What', 'Since', 'By', 'Reason', actionsHead()], rows),
    )
  }

  function lanes({ items, put_aside: aside }) {
    if (!items.length && !aside) return h('p', { class: 'empty' }, 'Nothing waits, and nothing runs.')
    const many = (number, lane) => number.toLocaleString() + (lane.at_least && number ? '+' : '')
    const rows = items.map((lane) =>
      h(
        'tr',
        { key: `${lane.priority} ${lane.required_labels}` },
        h(
          'th',
          { scope: 'row' },
          labels(lane.required_labels),
          lane.priority !== 0 && h('span', { class: 'quiet' }, ` priority ${lane.priority}`),
          ' ',
          lane.paused && pausedMark('labels'),
        ),
        h('td', { class: 'number' }, many(lane.ready, lane)),
        h('td', { class: 'number' }, lane.oldest_wait_ms === null ? '–' : duration(lane.oldest_wait_ms)),
        h('td', { class: 'number' }, many(lane.delayed + lane.held, lane)),
        h('td', { class: 'number' }, lane.running.toLocaleString()),
        h(
          'td',
          null,
          lane.no_worker
            ? h('strong', { class: 'warn' }, 'no worker can take it')
            : `${counted(lane.workers, 'worker')}, ${lane.idle} idle`,
        ),
      ),
    )
    return [
      items.length > 0 && table('Queue', ['Labels', 'Ready', 'Oldest', 'Delayed', 'Running', 'Workers'], rows),
      aside > 0 &&
        h(
          'p',
          { class: 'note' },
          `${counted(aside, 'job')} of paused workflows ${aside === 1 ? 'is' : 'are'} put aside.`,
        ),
    ]
  }

  function stuckJobs(list) {
    if (!list.length) return null
    const rows = list
      .slice(0, STUCK)
      .map((job) =>
        h(
          'tr',
          { key: `${job.run_id} ${job.job_id}` },
          h(
            'th',
            { scope: 'row' },
            h('a', { href: link`runs/${job.run_id}/jobs/${job.job_id}` }, name(job.workflow_id), ' / ', name(job.name)),
          ),
          h('td', null, labels(job.required_labels)),
          h('td', null, elapsed(job.ready_at_ms)),
        ),
      )
    return h(
      'section',
      { key: 'stuck' },
      h('h2', null, 'Jobs that no worker can take'),
      h('p', { class: 'quiet' }, 'Start a worker with their labels: ', h('code', null, 'wfg worker --labels …')),
      table('Jobs that no worker can take', ['Job', 'Requires', 'Waits'], rows),
      list.length > STUCK && h('p', { class: 'quiet' }, `And ${counted(list.length - STUCK, 'more job')}.`),
    )
  }

  return () => [
    head(
      'Queue',
      queue.data && [
        !queue.data.pauses.some(({ kind }) => kind === 'all') &&
          button(page, 'Pause everything', freeze, { kind: 'danger-plain' }),
        button(page, 'Pause labels', () => pauseLabels([])),
      ],
    ),
    shown(queue, (it) => [
      actionProblem(page),
      pauses(it.pauses),
      h('section', { key: 'lanes' }, h('h2', null, 'By labels'), lanes(it.lanes)),
      stuckJobs(it.stuck),
    ]),
  ]
}
