// One workflow: its runs, what it consists of, and what can be done with it.

import { del, get, path, post, query } from './api.js'
import { ask, reasonField } from './dialog.js'
import { h } from './dom.js'
import { counted, duration, percent, when } from './format.js'
import { Resource } from './live.js'
import { actionProblem, button, head, labels, link, name, pausedMark, shown, table, tabs, visible } from './parts.js'
import { runList } from './runlist.js'
import { askAndStart } from './start.js'
import { strip } from './strip.js'

const POLL_MS = 5000

export function workflowView(page, workflow) {
  page.title = workflow
  page.keeps = true
  const definition = new Resource(page, (options) => get(path`api/workflows/${workflow}`, options))
  const outcomes = new Resource(
    page,
    async (options) => {
      const { items } = await get(query('api/outcomes', { workflow_id: workflow, newest: 50 }), options)
      return items[0] ?? null
    },
    { every: POLL_MS },
  )
  const list = runList(page, { workflow_id: workflow })

  async function pause() {
    await ask({
      title: `Pause ${workflow}`,
      text: 'Its jobs are not handed out until it is resumed. What runs goes on.',
      submit: 'Pause',
      fields: reasonField,
      act: ({ reason }) => post(path`api/workflows/${workflow}/pause`, { reason: reason.value.trim() || null }),
    })
    await definition.again()
  }

  async function resume() {
    await post(path`api/workflows/${workflow}/resume`)
    await definition.again()
  }

  async function remove() {
    const deleted = await ask({
      title: `Delete ${workflow}`,
      text: 'It cannot be started any more. Its runs stay, and go on. A file in the server’s folder brings it back.',
      submit: 'Delete the workflow',
      danger: true,
      act: () => del(path`api/workflows/${workflow}`),
    })
    if (deleted) page.go(link`workflows`)
  }

  function jobs({ jobs: all }) {
    const rows = all.map((job) =>
      h(
        'tr',
        { key: job.key },
        h('th', { scope: 'row' }, name(job.key), job.name !== job.key && h('div', { class: 'quiet' }, name(job.name))),
        h(
          'td',
          null,
          job.needs.length ? job.needs.map((need) => h('span', { class: 'label', key: need }, name(need))) : '–',
        ),
        h('td', null, labels(job.labels)),
        h('td', { class: 'number' }, job.retries || '–'),
        h('td', { class: 'number' }, job.timeout_secs ? duration(job.timeout_secs * 1000) : '–'),
      ),
    )
    return table('Jobs', ['Job', 'Needs', 'Labels', 'Retries', 'Timeout'], rows)
  }

  function inputs({ inputs: all }) {
    if (!all.length) return h('p', { class: 'quiet' }, 'It takes no inputs.')
    const rows = all.map((input) =>
      h(
        'tr',
        { key: input.name },
        h(
          'th',
          { scope: 'row' },
          name(input.name),
          input.description && h('div', { class: 'quiet' }, name(input.description)),
        ),
        h('td', null, input.type, input.type === 'choice' && [': ', name(input.options.join(', '))]),
        h('td', null, input.default === null ? '–' : name(String(input.default))),
        h('td', null, input.required ? 'yes' : 'no'),
      ),
    )
    return table('Inputs', ['Input', 'Type', 'Default', 'Required'], rows)
  }

  return () => {
    const shownTab = page.query.get('tab') ?? 'runs'
    const rates = outcomes.data
    return [
      h('p', { class: 'crumbs' }, h('a', { href: link`workflows` }, 'Workflows')),
      head(
        [name(workflow), ' ', pausedMark(definition.data?.paused)],
        definition.data && [
          button(page, 'Delete', remove, { kind: 'danger-plain' }),
          definition.data.paused === 'workflow' ? button(page, 'Resume', resume) : button(page, 'Pause', pause),
          button(page, 'Start', () => askAndStart(page, workflow), { kind: 'primary' }),
        ],
      ),
      shown(definition, (it) => [
        h(
          'p',
          { class: 'facts' },
          it.name !== workflow && h('span', { key: 'name' }, name(it.name)),
          h('span', null, `version ${it.version}`),
          h('span', null, counted(it.jobs.length, 'job')),
          h('span', null, 'put ', when(it.created_at_ms)),
          rates && h('span', null, 'success ', percent(rates.success_rate)),
          rates && rates.usual_ms !== null && h('span', null, 'usually ', duration(rates.usual_ms)),
        ),
        rates && strip(rates),
        actionProblem(page),
        tabs(
          'Of this workflow',
          [
            ['runs', 'Runs', page.to({ tab: null })],
            ['jobs', 'Jobs', page.to({ tab: 'jobs' })],
            ['inputs', 'Inputs', page.to({ tab: 'inputs' })],
            ['file', 'Definition', page.to({ tab: 'file' })],
          ],
          shownTab,
        ),
        shownTab === 'jobs' && h('section', { key: 'jobs' }, jobs(it)),
        shownTab === 'inputs' && h('section', { key: 'inputs' }, inputs(it)),
        shownTab === 'file' &&
          h(
            'section',
            { key: 'file' },
            h('pre', { class: 'code', tabindex: 0 }, visible(JSON.stringify(it.definition, null, 2))),
          ),
      ]),
      (shownTab === 'runs' || !definition.data) && h('section', { key: 'runs' }, list()),
    ]
  }
}
