// All workflows: how their last runs ended.

import { get, post, query } from './api.js'
import { h } from './dom.js'
import { counted, duration, percent, when } from './format.js'
import { follow, Resource, seldom } from './live.js'
import { actionProblem, actionsHead, button, link, name, pausedMark, shown, table } from './parts.js'
import { askAndStart } from './start.js'
import { strip } from './strip.js'

const RELOAD_MS = 2000

export function workflowsView(page) {
  page.title = 'Workflows'
  let pages = 1
  let wanted = ''
  const outcomes = new Resource(page, async (options) => {
    const all = { items: [], next_cursor: null }
    for (let number = 0; number < pages; number++) {
      const part = await get(query('api/outcomes', { cursor: all.next_cursor }), options)
      all.items.push(...part.items)
      all.next_cursor = part.next_cursor
      if (!part.next_cursor) break
    }
    return all
  })
  follow('api/stream', { signal: page.signal, onEvent: seldom(RELOAD_MS, page.signal, outcomes.again) }).catch(() => {})

  function more() {
    pages += 1
    outcomes.again()
  }

  async function addSample() {
    await post('api/workflows/sample')
    await outcomes.again()
  }

  function row(item) {
    const [last] = item.runs
    return h(
      'tr',
      { key: item.workflow_id },
      h(
        'th',
        { scope: 'row' },
        h('a', { href: link`workflows/${item.workflow_id}` }, name(item.workflow_id)),
        ' ',
        pausedMark(item.paused),
        item.name !== item.workflow_id && h('div', { class: 'quiet' }, name(item.name)),
      ),
      h('td', null, strip(item)),
      h('td', { class: 'number', 'data-label': 'Success' }, percent(item.success_rate)),
      h('td', { class: 'number', 'data-label': 'Usually' }, duration(item.usual_ms) || '–'),
      h('td', { 'data-label': 'Last run' }, last ? when(last.due_at_ms) : '–'),
      h(
        'td',
        { class: 'actions' },
        h(
          'button',
          { type: 'button', onclick: () => askAndStart(page, item.workflow_id) },
          'Start',
          h('span', { class: 'unseen' }, ' ', item.workflow_id),
        ),
      ),
    )
  }

  function list({ items, next_cursor: rest }) {
    if (!items.length) {
      return h(
        'div',
        { class: 'empty' },
        h('p', null, 'There is no workflow yet.'),
        h('p', null, 'Put one with ', h('code', null, 'wfg put hello.yml'), ', or look around with a sample.'),
        button(page, 'Add the sample', addSample),
      )
    }
    const found = items.filter((item) =>
      `${item.workflow_id} ${item.name}`.toLowerCase().includes(wanted.toLowerCase()),
    )
    const heads = ['Workflow', 'Last runs', 'Success', 'Usually', 'Last run', actionsHead()]
    return [
      (items.length > 5 || rest) &&
        h(
          'label',
          { class: 'field narrow' },
          h('span', { class: 'field-label' }, 'Find'),
          h('input', {
            type: 'search',
            value: wanted,
            oninput: (event) => ((wanted = event.target.value), page.update()),
          }),
        ),
      table('Workflows', heads, found.map(row), { class: 'workflows' }),
      !found.length && h('p', { class: 'quiet' }, 'None of those is called so.'),
      rest && h('p', null, h('button', { type: 'button', onclick: more }, 'Show more')),
      h('p', { class: 'quiet' }, counted(found.length, 'workflow'), rest ? ', and there are more.' : '.'),
    ]
  }

  return () => [h('h1', { tabindex: -1 }, 'Workflows'), actionProblem(page), shown(outcomes, list)]
}
