// The jobs that are in sight, as elements: text by the browser, focus by the browser. Others are not in the page.

import { shortened } from './announcer.js'
import { ICONS } from './icons.js'
import { duration, fill } from './labels.js'
import { endedCount, statusOf, visible } from './model.js'

/**
 * @typedef {import('./model.js').Scene} Scene
 * @typedef {import('./model.js').Item} Item
 * @typedef {{element: HTMLElement, icon: SVGPathElement, fold: HTMLElement, name: HTMLElement, time: HTMLElement, spoken: HTMLElement}} Node
 */

const MOST_NEEDS = 5

export class Nodes {
  /** @type {Map<string, Node>} */
  #nodes = new Map()
  /** The key of the one item that Tab leads to. */
  active = ''

  /** @param {HTMLElement} layer */
  constructor(layer) {
    this.layer = layer
    this.#template = template()
  }

  #template

  /**
   * Exactly these items, in their order.
   * @param {Scene} scene
   * @param {number[]} wanted
   * @param {(node: Node, index: number) => void} refresh called for those that are new
   */
  sync(scene, wanted, refresh) {
    const keys = new Set(wanted.map((i) => scene.items[i].key))
    for (const [key, node] of this.#nodes) {
      if (keys.has(key)) continue
      node.element.remove()
      this.#nodes.delete(key)
    }
    let next = this.layer.firstElementChild
    for (const i of wanted) {
      const { key } = scene.items[i]
      let node = this.#nodes.get(key)
      if (!node) {
        node = this.#make(key)
        refresh(node, i)
      }
      if (node.element === next) next = next.nextElementSibling
      else this.#insert(node.element, next)
    }
  }

  // An element that moves loses its focus.
  #insert(/** @type {HTMLElement} */ element, /** @type {Element | null} */ before) {
    const focused = element.matches(':focus')
    this.layer.insertBefore(element, before)
    if (focused) element.focus({ preventScroll: true })
  }

  /** @returns {Node} */
  #make(/** @type {string} */ key) {
    const element = /** @type {HTMLElement} */ (this.#template.cloneNode(true))
    const [fold, svg, name, time, spoken] = element.children
    element.dataset.key = key
    const node = {
      element,
      icon: /** @type {SVGPathElement} */ (svg.firstElementChild),
      fold: /** @type {HTMLElement} */ (fold),
      name: /** @type {HTMLElement} */ (name),
      time: /** @type {HTMLElement} */ (time),
      spoken: /** @type {HTMLElement} */ (spoken),
    }
    this.#nodes.set(key, node)
    return node
  }

  get(/** @type {string} */ key) {
    return this.#nodes.get(key)
  }

  entries() {
    return this.#nodes.entries()
  }

  setActive(/** @type {string} */ key) {
    this.#nodes.get(this.active)?.element.setAttribute('tabindex', '-1')
    this.active = key
    this.#nodes.get(key)?.element.setAttribute('tabindex', '0')
  }

  clear() {
    this.layer.replaceChildren()
    this.#nodes.clear()
  }
}

function template() {
  const element = document.createElement('div')
  element.setAttribute('role', 'treeitem')
  element.setAttribute('tabindex', '-1')
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', '0 0 16 16')
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  path.setAttribute('fill-rule', 'evenodd')
  svg.append(path)
  const span = (/** @type {string} */ name) => {
    const child = document.createElement('span')
    child.className = name
    // It is said in words.
    if (name === 'fold' || name === 'time') child.setAttribute('aria-hidden', 'true')
    return child
  }
  const name = span('name')
  name.dir = 'auto'
  element.append(span('fold'), svg, name, span('time'), span('spoken'))
  return element
}

/**
 * All that an element shows of its item.
 * @param {Node} node
 * @param {Scene} scene
 * @param {number} index
 * @param {{labels: import('./labels.js').Labels, now: number, rank: number, active: boolean, selected: boolean, lit: boolean}} state
 */
export function fillNode(node, scene, index, state) {
  const item = scene.items[index]
  const status = statusOf(item)
  const { element, icon, fold, name } = node
  element.className = `item ${item.kind}${item.job?.kept ? ' kept' : ''}${state.lit ? ' lit' : ''}`
  element.dataset.status = status
  element.style.transform = `translate(${item.x}px, ${item.y}px)`
  element.style.width = `${item.w}px`
  element.style.height = `${item.h}px`
  icon.setAttribute('d', ICONS[status])
  fold.hidden = item.kind === 'job'
  fold.textContent = item.kind === 'job' ? '' : item.kind === 'group' ? '▶' : '▼'
  name.textContent = visible(item.name)
  name.title = visible(item.name)
  fillTime(node, item, state.labels, state.now)

  element.setAttribute('tabindex', state.active ? '0' : '-1')
  node.spoken.textContent = spoken(scene, index, state.labels)
  element.setAttribute('aria-level', item.frame >= 0 ? '2' : '1')
  element.setAttribute('aria-posinset', String(state.rank + 1))
  element.setAttribute('aria-setsize', String(scene.items.length))
  if (item.kind === 'job') element.setAttribute('aria-selected', String(state.selected))
  else element.removeAttribute('aria-selected')
  if (item.kind === 'job') element.removeAttribute('aria-expanded')
  else element.setAttribute('aria-expanded', String(item.kind === 'frame'))
}

/** @param {Node} node @param {Item} item @param {import('./labels.js').Labels} labels @param {number} now */
export function fillTime(node, item, labels, now) {
  const text = timeOf(item, labels, now)
  if (node.time.textContent !== text) node.time.textContent = text
}

function timeOf(/** @type {Item} */ item, /** @type {import('./labels.js').Labels} */ labels, /** @type {number} */ now) {
  if (!item.job) return `${endedCount(item)}/${item.members.length}`
  const { status, startedAt, durationMs, attempt, paused } = item.job
  const again = attempt > 0 ? `↻${attempt} ` : ''
  if (status === 'queued') return paused ? labels.paused : again
  if (status === 'running') return startedAt === null ? again : again + duration(now - startedAt, labels)
  return durationMs === null ? '' : again + duration(durationMs, labels)
}

/** What a screen reader says after the name: status, what else there is to know, and what it needs. */
function spoken(/** @type {Scene} */ scene, /** @type {number} */ index, /** @type {import('./labels.js').Labels} */ labels) {
  const item = scene.items[index]
  const parts = [labels[statusOf(item)]]
  if (item.job) {
    const { durationMs, attempt, kept, paused } = item.job
    if (durationMs !== null) parts.push(duration(durationMs, labels))
    if (attempt > 0) parts.push(fill(labels.attempt, { n: attempt + 1 }))
    if (kept) parts.push(labels.kept)
    if (paused) parts.push(labels.paused)
  } else parts.push(fill(labels.group, { count: item.members.length, done: endedCount(item) }))
  const needs = scene.parents[index].map((i) => shortened(scene.items[i].name))
  if (needs.length) {
    const first = needs.slice(0, MOST_NEEDS).join(', ')
    const more = needs.length - MOST_NEEDS
    parts.push(fill(labels.needs, { names: more > 0 ? fill(labels.more, { names: first, count: more }) : first }))
  }
  return parts.join(', ')
}
