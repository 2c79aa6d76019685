// The fixed parts inside <wfg-graph>.

import { CONTROL_ICONS } from './icons.js'
import { fill } from './labels.js'
import { styleSheet } from './styles.js'

/** @param {ShadowRoot} shadow */
export function shell(shadow) {
  shadow.adoptedStyleSheets = [styleSheet()]
  const add = (/** @type {string} */ tag, /** @type {string} */ name, /** @type {Element | ShadowRoot} */ parent) => {
    const element = document.createElement(tag)
    element.className = name
    element.setAttribute('part', name)
    parent.append(element)
    return element
  }
  const root = add('div', 'root', shadow)
  const header = add('div', 'header', root)
  const title = document.createElement('b')
  const trigger = document.createElement('span')
  title.dir = trigger.dir = 'auto'
  header.append(title, trigger)

  const stage = add('div', 'stage', root)
  const paint = /** @type {HTMLCanvasElement} */ (add('canvas', 'paint', stage))
  paint.setAttribute('aria-hidden', 'true')
  const layer = add('div', 'layer', stage)
  const band = add('div', 'band', stage)
  band.hidden = true
  const empty = add('div', 'empty', stage)
  const controls = add('div', 'controls', stage)
  controls.setAttribute('role', 'group')
  const buttons = Object.fromEntries(
    Object.entries(CONTROL_ICONS).map(([name, d]) => {
      const button = /** @type {HTMLButtonElement} */ (add('button', name, controls))
      button.type = 'button'
      const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
      const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
      svg.setAttribute('viewBox', '0 0 16 16')
      svg.setAttribute('aria-hidden', 'true')
      path.setAttribute('d', d)
      svg.append(path)
      button.append(svg)
      return [name, button]
    }),
  )
  const minimap = /** @type {HTMLCanvasElement} */ (add('canvas', 'minimap', stage))
  minimap.setAttribute('aria-hidden', 'true')
  const live = add('div', 'live', root)
  live.setAttribute('role', 'status')
  live.setAttribute('aria-live', 'polite')
  const probe = add('span', 'probe', root)
  probe.setAttribute('aria-hidden', 'true')
  return { root, header, title, trigger, stage, paint, layer, band, empty, controls, buttons, minimap, live, probe }
}

/** @typedef {ReturnType<typeof shell>} Shell */

/** @param {Shell} parts @param {import('./labels.js').Labels} labels @param {import('./model.js').Workflow} workflow */
export function nameParts(parts, labels, workflow) {
  const { layer, controls, buttons, empty, title, trigger } = parts
  const count = workflow.jobs.size
  if (count) {
    layer.setAttribute('role', 'tree')
    layer.setAttribute('aria-multiselectable', 'true')
    layer.setAttribute('aria-label', fill(labels.graph, { name: workflow.name || labels.workflow, count }))
  } else for (const name of ['role', 'aria-multiselectable', 'aria-label']) layer.removeAttribute(name)
  controls.setAttribute('aria-label', labels.controls)
  for (const name of /** @type {const} */ (['zoom_in', 'zoom_out', 'fit'])) {
    buttons[name].setAttribute('aria-label', labels[name])
    buttons[name].title = labels[name]
  }
  empty.textContent = labels.empty
  empty.hidden = count > 0
  title.textContent = workflow.name
  trigger.textContent = workflow.trigger
}
