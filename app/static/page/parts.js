// Parts that several views are made of.

import { ApiError, mayAsk } from './api.js'
import { h } from './dom.js'

/** A link to a view: link`runs/${id}`. */
export function link(parts, ...values) {
  return `#/${String.raw({ raw: parts }, ...values.map(encodeURIComponent))}`
}

/** What somebody chose to call something: isolated, for it may be written from right to left. */
export function name(text, props = null) {
  return h('bdi', { class: 'name', ...props }, visible(text))
}

/** Control characters, and those that turn the direction of text, as pictures of them. */
export function visible(text) {
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.codePointAt(0)
    if (code < 0x20) return String.fromCodePoint(0x2400 + code)
    return code === 0x7f ? '␡' : '�'
  })
}

export function labels(list) {
  if (!list.length) return h('span', { class: 'quiet' }, 'any worker')
  return list.map((label) => h('span', { class: 'label', key: label }, name(label)))
}

/** The end of a run's id, where ids of the same time differ; the whole when pointed at. */
export function shortId(id) {
  return h('code', { title: id }, id.slice(-8))
}

/** What went wrong, where it went wrong, and a way to try again. */
export function problem(error, again) {
  const known = error instanceof ApiError
  return h(
    'div',
    { class: 'problem', role: 'alert' },
    h('strong', null, known ? visible(error.message) : 'The page has a fault.'),
    known ? error.details && h('p', null, visible(String(error.details))) : h('p', null, String(error)),
    known && error.hint && h('p', { class: 'hint' }, visible(String(error.hint))),
    again && h('button', { type: 'button', onclick: () => (mayAsk(), again()) }, 'Try again'),
  )
}

/** What a view has of a resource: it loads, it failed, or what is made of its data. */
export function shown(resource, make) {
  if (resource.data !== null) {
    const old = resource.error && !resource.error.passing ? problem(resource.error, resource.again) : null
    return [old, make(resource.data)]
  }
  if (resource.error) return problem(resource.error, resource.again)
  return h('p', { class: 'loading', role: 'status' }, 'Loading…')
}

/** A table that scrolls by itself where it is too wide. caption: for those who do not see where it stands. */
export function table(caption, heads, rows, props = null) {
  return h(
    'div',
    { class: 'scrolls', role: 'region', 'aria-label': caption, tabindex: 0 },
    h(
      'table',
      props,
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          heads.map((head) => h('th', { scope: 'col' }, head)),
        ),
      ),
      h('tbody', null, rows),
    ),
  )
}

/** The head of a column of buttons. */
export const actionsHead = () => h('span', { class: 'unseen' }, 'Actions')

/** A list of links of which one is shown. */
export function tabs(label, items, current) {
  return h(
    'nav',
    { class: 'tabs', 'aria-label': label },
    items.map(([key, text, href]) => h('a', { key, href, 'data-text': text, 'aria-current': key === current ? 'true' : null }, text)),
  )
}

export const PAUSED = {
  workflow: 'its workflow is paused',
  labels: 'its labels are paused',
  all: 'everything is paused',
}

export function pausedMark(kind) {
  return kind && h('span', { class: 'mark-paused', title: PAUSED[kind] }, 'Paused')
}

/** A button whose call is made once at a time. `busy`: of the view, which says what is under way. */
export function button(page, text, call, { kind = '', disabled = false } = {}) {
  page.busy ??= new Set()
  const isBusy = page.busy.has(text)
  async function pressed() {
    if (page.busy.has(text)) return
    mayAsk()
    page.busy.add(text)
    page.problem = null
    page.update()
    try {
      await call()
    } catch (error) {
      if (!page.signal.aborted) page.problem = { error, again: pressed }
    }
    page.busy.delete(text)
    page.update()
  }
  const props = { type: 'button', class: kind, disabled, 'aria-disabled': isBusy ? 'true' : null, onclick: pressed }
  return h('button', { key: text, ...props }, text)
}

/** The title of a view, and what can be done with what it shows. */
export function head(title, buttons = []) {
  return h(
    'div',
    { class: 'head' },
    h('h1', { tabindex: -1 }, title),
    h('div', { class: 'buttons' }, buttons),
  )
}

/** What the last button ran into. */
export function actionProblem(page) {
  return page.problem && problem(page.problem.error, page.problem.again)
}
