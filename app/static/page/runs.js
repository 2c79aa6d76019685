// Runs of all workflows, by filters that are part of the address.

import { h } from './dom.js'
import { runList } from './runlist.js'
import { labelOf } from './states.js'

const FILTERS = ['workflow_id', 'state', 'label', 'started_by']
const RUN_STATES = ['queued', 'running', 'success', 'failure', 'cancelled']

export function runsView(page) {
  page.title = 'Runs'
  const filters = Object.fromEntries(FILTERS.map((key) => [key, page.query.get(key)]))
  const list = runList(page, filters)

  function choose(key, value) {
    page.go(page.to({ [key]: value.trim() }))
  }

  function text(key, label) {
    return h(
      'label',
      { class: 'field' },
      h('span', { class: 'field-label' }, label),
      h('input', {
        type: 'search',
        name: key,
        value: filters[key] ?? '',
        autocomplete: 'off',
        onchange: (event) => choose(key, event.target.value),
      }),
    )
  }

  return () => [
    h('h1', { tabindex: -1 }, 'Runs'),
    h(
      'form',
      { class: 'filters', role: 'search', 'aria-label': 'Runs', onsubmit: (event) => event.preventDefault() },
      h(
        'label',
        { class: 'field' },
        h('span', { class: 'field-label' }, 'State'),
        h(
          'select',
          { name: 'state', value: filters.state ?? '', onchange: (event) => choose('state', event.target.value) },
          h('option', { value: '' }, 'Any'),
          RUN_STATES.map((state) => h('option', { value: state, key: state }, labelOf(state))),
        ),
      ),
      text('workflow_id', 'Workflow'),
      text('label', 'Label'),
      text('started_by', 'Started by'),
    ),
    list(),
  ]
}
