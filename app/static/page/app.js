// The page: its frame, which view is shown, and what is common to all.

import { announce, hush, speakBy } from './announce.js'
import { forgetToken, hasToken, setAsker } from './api.js'
import { askToken, closeDialogs } from './dialog.js'
import { h, render } from './dom.js'
import { setWatcher } from './live.js'
import { link, problem } from './parts.js'
import { jobView } from './job.js'
import { queueView } from './queue.js'
import { runView } from './run.js'
import { runsView } from './runs.js'
import { workersView } from './workers.js'
import { workflowView } from './workflow.js'
import { workflowsView } from './workflows.js'

const VIEWS = [
  [/^\/?$/, workflowsView],
  [/^\/workflows$/, workflowsView],
  [/^\/workflows\/([^/]*)$/, workflowView],
  [/^\/runs$/, runsView],
  [/^\/runs\/([^/]*)$/, runView],
  [/^\/runs\/([^/]*)\/jobs\/([^/]*)$/, jobView],
  [/^\/queue$/, queueView],
  [/^\/workers$/, workersView],
]
const NAV = [
  ['workflows', 'Workflows', link`workflows`],
  ['runs', 'Runs', link`runs`],
  ['queue', 'Queue', link`queue`],
  ['workers', 'Workers', link`workers`],
]

const root = document.getElementById('app')
let page = null
let isLost = false
let isDrawing = false

// --- which view ---

/** What is shown is said by the part of the address after #, so that links and the back button work. */
class Page {
  constructor(place) {
    const [path, search = ''] = place.split(/\?(.*)/s)
    this.path = path
    this.query = new URLSearchParams(search)
    this.controller = new AbortController()
    this.signal = this.controller.signal // aborted when another view is shown
    this.title = ''
    this.problem = null
  }

  update() {
    if (page === this) draw()
  }

  /** The same view with other parameters; null takes one away. */
  to(parameters) {
    const query = new URLSearchParams(this.query)
    for (const [key, value] of Object.entries(parameters)) {
      if (value === null || value === '') query.delete(key)
      else query.set(key, value)
    }
    const text = query.toString()
    return `#${this.path}${text ? `?${text}` : ''}`
  }

  /** An answer that comes late takes nobody away from where they are by now. */
  go(place) {
    if (page === this) location.hash = place
  }
}

function show() {
  const place = location.hash.slice(1) || '/workflows'
  const before = page
  const next = new Page(place)
  if (before?.path === next.path && before.keeps) {
    before.query = next.query
    before.update()
    return
  }
  before?.controller.abort()
  hush()
  closeDialogs()
  page = next
  for (const [pattern, view] of VIEWS) {
    const found = pattern.exec(page.path)
    if (!found) continue
    const ids = decoded(found.slice(1))
    if (ids) page.view = view(page, ...ids)
    break
  }
  page.view ??= () => {
    page.title = 'Nothing here'
    return [
      h('h1', { tabindex: -1 }, 'Nothing here'),
      h('p', null, 'There is no such view. ', h('a', { href: link`workflows` }, 'All workflows')),
    ]
  }
  drawNow()
  if (before && before.path !== page.path) {
    scrollTo(0, 0)
    document.querySelector('h1')?.focus({ preventScroll: true })
  }
}

function decoded(ids) {
  try {
    const found = ids.map(decodeURIComponent)
    return found.includes('.') || found.includes('..') ? null : found // path() says why
  } catch {
    return null // a % that encodes nothing
  }
}

// --- what it looks like ---

function draw() {
  if (isDrawing) return
  isDrawing = true
  // Not animation frames: a page that is hidden gets none.
  setTimeout(drawNow, 16)
}

function drawNow() {
  isDrawing = false
  let content
  try {
    content = page.view()
  } catch (error) {
    console.error(error)
    content = problem(error, () => show())
  }
  document.title = page.title ? `${page.title} · wfg` : 'wfg'
  const section = page.path.split('/')[1] || 'workflows'
  render(root, [
    h('a', { class: 'skip', href: '#main', onclick: skip }, 'Skip to the content'),
    h(
      'header',
      { class: 'top' },
      h('a', { class: 'brand', href: link`workflows` }, 'wfg'),
      h(
        'nav',
        { 'aria-label': 'Views' },
        NAV.map(([key, text, href]) => h('a', { key, href, 'aria-current': key === section ? 'page' : null }, text)),
      ),
      h('span', { class: 'grows' }),
      hasToken() && h('button', { type: 'button', class: 'plain', onclick: leave }, 'Forget token'),
      themeChoice(),
    ),
    h('div', { class: 'lost', role: 'status' }, isLost && 'Connection lost, trying again…'),
    h('main', { id: 'main', tabindex: -1, key: 'main' }, h('div', { key: page.path, class: 'view' }, content)),
    h('div', { class: 'unseen', role: 'status', 'aria-live': 'polite', ref: speakBy }),
  ])
}

function skip(event) {
  event.preventDefault()
  document.getElementById('main').focus()
}

function leave() {
  forgetToken()
  location.reload()
}

// --- light, dark, high contrast ---

const THEMES = [
  ['', 'System theme'],
  ['light', 'Light'],
  ['dark', 'Dark'],
  ['contrast', 'High contrast'],
]

function themeChoice() {
  const chosen = document.documentElement.dataset.theme ?? ''
  return h(
    'label',
    { class: 'theme' },
    h('span', { class: 'unseen' }, 'Theme'),
    h(
      'select',
      { value: chosen, onchange: (event) => chooseTheme(event.target.value) },
      THEMES.map(([value, text]) => h('option', { value, key: value }, text)),
    ),
  )
}

function chooseTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme
  else delete document.documentElement.dataset.theme
  try {
    if (theme) localStorage.setItem('wfg-theme', theme)
    else localStorage.removeItem('wfg-theme')
  } catch {
    // then it is for now
  }
  draw()
}

// --- begin ---

setAsker(askToken)
setWatcher((lost) => {
  if (isLost && !lost) announce('Connected again.')
  isLost = lost
  if (page) draw()
})
addEventListener('hashchange', show)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
show()
