// A strip of outcomes: the last runs of a workflow, the newest at the right. One stop of Tab; arrow keys go along.

import { h } from './dom.js'
import { absolute, duration } from './format.js'
import { link } from './parts.js'
import { icon, labelOf } from './states.js'

export function strip({ workflow_id: workflow, runs }) {
  if (!runs.length) return h('span', { class: 'quiet' }, 'never ran')
  return h(
    'div',
    { class: 'strip', role: 'group', 'aria-label': `Last runs of ${workflow}, the newest first`, onkeydown: along },
    runs.map((run, place) => {
      const took = run.finished_at_ms === null ? '' : `, ${duration(Math.max(0, run.finished_at_ms - run.due_at_ms))}`
      const text = `${labelOf(run.state)}${took}, ${absolute(run.due_at_ms)}`
      const props = { key: run.run_id, href: link`runs/${run.run_id}`, title: text, 'aria-label': text }
      return h('a', { ...props, tabindex: place ? -1 : 0 }, icon(run.state))
    }),
  )
}

/** The newest comes first, and stands at the right. */
function along(event) {
  const steps = { ArrowLeft: 1, ArrowRight: -1, Home: -Infinity, End: Infinity }
  if (!(event.key in steps)) return
  event.preventDefault()
  const links = [...event.currentTarget.querySelectorAll('a')]
  const next = links.indexOf(document.activeElement) + steps[event.key]
  links[Math.min(Math.max(next, 0), links.length - 1)].focus()
}
