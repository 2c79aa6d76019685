// Runs as a table: of all workflows, or of one. Live: states change in place, new runs appear.

import { get, query } from './api.js'
import { announce } from './announce.js'
import { h } from './dom.js'
import { elapsed, when } from './format.js'
import { follow, Resource, seldom } from './live.js'
import { link, name, pausedMark, shortId, shown, table } from './parts.js'
import { badge, ENDED, labelOf } from './states.js'

const RELOAD_MS = 1500
const PAGE = 50

/** filters: parameters of GET /api/runs. What it answers draws the table. */
export function runList(page, filters) {
  const { workflow_id: workflow } = filters
  let pages = 1
  const runs = new Resource(page, async (options) => {
    const all = { items: [], next_cursor: null }
    for (let number = 0; number < pages; number++) {
      const part = await get(query('api/runs', { ...filters, limit: PAGE, cursor: all.next_cursor }), options)
      all.items.push(...part.items)
      all.next_cursor = part.next_cursor
      if (!part.next_cursor) break
    }
    return all
  })
  const reload = seldom(RELOAD_MS, page.signal, runs.again)
  follow('api/stream', { signal: page.signal, onEvent: changed }).catch(() => {})

  let isFirst = true
  function changed(event, data) {
    if (event === 'snapshot') {
      if (!isFirst) reload() // connected anew
      isFirst = false
    } else if (!workflow || data.workflow_id === workflow) {
      const run = runs.data?.items.find((each) => each.run_id === data.run_id)
      if (run && run.state !== data.state) {
        run.state = data.state
        if (ENDED.has(run.state)) announce(`A run of ${run.workflow_id}: ${labelOf(run.state)}`)
        page.update()
      }
      reload()
    }
  }

  function more() {
    pages += 1
    runs.again()
  }

  function row(run) {
    const inputs = Object.entries(run.inputs).map(
      ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    const about = [run.started_by && `by ${run.started_by}`, run.reason, ...inputs].filter(Boolean).join(' · ')
    const isWaiting = run.start_at_ms !== null && run.started_at_ms === null && run.state === 'queued'
    return h(
      'tr',
      { key: run.run_id },
      h('td', null, badge(run.state), ' ', pausedMark(run.paused)),
      h(
        'th',
        { scope: 'row' },
        h('a', { href: link`runs/${run.run_id}` }, workflow ? shortId(run.run_id) : name(run.workflow_id)),
        about && h('div', { class: 'quiet one-line', title: about }, name(about)),
      ),
      !workflow && h('td', null, shortId(run.run_id)),
      h('td', null, isWaiting ? ['starts ', when(run.start_at_ms)] : when(run.created_at_ms)),
      h('td', null, run.started_at_ms === null ? '–' : elapsed(run.started_at_ms, run.finished_at_ms)),
    )
  }

  return () =>
    shown(runs, ({ items, next_cursor: rest }) => {
      if (!items.length && !rest) return h('p', { class: 'empty' }, 'There is no such run.')
      const heads = ['State', workflow ? 'Run' : 'Workflow', ...(workflow ? [] : ['Run']), 'When', 'Took']
      return [
        items.length ? table('Runs', heads, items.map(row), { class: workflow ? 'runs' : 'runs of-all' }) : h('p', null, 'None among the newest.'),
        rest && h('p', null, h('button', { type: 'button', onclick: more }, items.length ? 'Show more' : 'Search on')),
      ]
    })
}
