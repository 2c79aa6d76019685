// A job's log: live, searched, followed, downloaded. Only the lines that are seen are elements, however many there are.

import { element, parse, PLAIN } from './ansi.js'
import { path } from './api.js'
import { h } from './dom.js'
import { absolute, clock, counted } from './format.js'
import { Lines } from './lines.js'
import { follow } from './live.js'
import { problem } from './parts.js'

const LINE = 20 // pixels: as in page.css
const BEYOND = 20 // lines above and below what is seen
const LONGEST = 5000 // characters that are shown of a line
const SEARCH_MS = 120

export class LogView {
  /** names: of the file that is downloaded. */
  constructor(page, run, job, { name, hasEnded }) {
    this.page = page
    this.name = name
    this.lines = new Lines()
    this.follows = !hasEnded
    this.withTimes = false
    this.ended = false
    this.error = null
    this.words = ''
    this.found = [] // numbers of lines
    this.current = -1 // which of them
    this._rows = new Map()
    this._run = run
    this._job = job
    this._read()
  }

  async _read() {
    this.error = null
    try {
      await follow(path`api/runs/${this._run}/jobs/${this._job}/logs/stream`, {
        signal: this.page.signal,
        onEvent: (event, data, id) => this._heard(event, data, id),
      })
    } catch (error) {
      if (!this.page.signal.aborted) this.error = error
    }
    this.ended = true
    this.page.update()
  }

  _heard(event, data, id) {
    if (event !== 'log') return
    const first = this.lines.add(Number(id.split('.')[1]), data)
    this._changedFrom = Math.min(this._changedFrom ?? Infinity, first)
    this._drawSoon()
  }

  // --- what is around it ---

  view() {
    const count = this.lines.all.length - this.lines.heads
    return h(
      'div',
      { class: `log-frame ${count || !this.ended ? '' : 'none'}`, key: 'log', onkeydown: (event) => this._key(event) },
      h(
        'div',
        { class: 'log-tools', role: 'search', 'aria-label': 'Log' },
        h('input', {
          type: 'search',
          placeholder: 'Search the log',
          'aria-label': 'Search the log',
          value: this.words,
          oninput: (event) => this._search(event.target.value),
        }),
        h('span', { class: 'log-found quiet', role: 'status' }, this._foundText()),
        h(
          'button',
          {
            type: 'button',
            class: 'plain',
            disabled: !this.found.length,
            onclick: () => this._go(-1),
            'aria-label': 'Previous match',
          },
          '↑',
        ),
        h(
          'button',
          {
            type: 'button',
            class: 'plain',
            disabled: !this.found.length,
            onclick: () => this._go(1),
            'aria-label': 'Next match',
          },
          '↓',
        ),
        h('span', { class: 'grows' }),
        this._switch('Follow', 'follows', () => this._toEnd()),
        this._switch('Times', 'withTimes', () => this._redraw()),
        h('button', { type: 'button', disabled: !count, onclick: () => this._download() }, 'Download'),
      ),
      this.error && problem(this.error, () => this._read()),
      h('div', {
        class: 'log',
        role: 'log',
        'aria-live': 'off',
        'aria-label': 'Log',
        tabindex: 0,
        ref: (node) => this._begin(node),
      }),
      h(
        'p',
        { class: 'quiet log-foot' },
        count ? counted(count, 'line') : this.ended ? 'It wrote nothing.' : 'Nothing yet.',
        this.ended || !count ? '' : ', live',
      ),
    )
  }

  _switch(text, key, changed) {
    const props = {
      type: 'checkbox',
      checked: this[key],
      onchange: (event) => ((this[key] = event.target.checked), changed()),
    }
    return h('label', { class: 'switch' }, h('input', props), text)
  }

  _foundText() {
    if (!this.words) return ''
    return this.found.length ? `${this.current + 1} of ${this.found.length.toLocaleString()}` : 'not found'
  }

  // --- lines ---

  _begin(node) {
    this._node = node
    this._sizer = document.createElement('div')
    this._sizer.className = 'log-lines'
    node.append(this._sizer)
    node.addEventListener('scroll', () => {
      const isAtEnd = node.scrollTop + node.clientHeight >= node.scrollHeight - LINE
      // Who scrolls up does not follow any more.
      if (!isAtEnd && this.follows && node.scrollTop < this._scrolledTo - 1) {
        this.follows = false
        this.page.update()
      }
      this._drawSoon()
    })
    new ResizeObserver(() => this._drawSoon()).observe(node)
    this._redraw()
  }

  _drawSoon() {
    if (this._timer) return
    this._timer = setTimeout(() => {
      this._timer = null
      if (this._changedFrom !== undefined) {
        if (this.words) this._findFrom(this._changedFrom)
        this.page.update()
      }
      this._draw()
    }, 30)
  }

  _redraw() {
    for (const row of this._rows.values()) row.remove()
    this._rows.clear()
    this._draw()
  }

  _draw() {
    const node = this._node
    if (!node?.isConnected) return
    const { all } = this.lines
    this._sizer.style.height = `${all.length * LINE}px`
    if (this.follows) {
      node.scrollTop = node.scrollHeight
      this._scrolledTo = node.scrollTop
    }
    const first = Math.max(0, Math.floor(node.scrollTop / LINE) - BEYOND)
    const last = Math.min(all.length, Math.ceil((node.scrollTop + node.clientHeight) / LINE) + BEYOND)
    for (const [number, row] of this._rows) {
      if (number >= first && number < last && number < (this._changedFrom ?? Infinity)) continue
      row.remove()
      this._rows.delete(number)
    }
    this._changedFrom = undefined
    // In their order: it is that in which they are read, and copied.
    let next = this._sizer.firstChild
    for (let number = first; number < last; number++) {
      let row = this._rows.get(number)
      if (row) {
        next = row.nextSibling
        continue
      }
      row = this._row(all[number], number)
      this._rows.set(number, row)
      this._sizer.insertBefore(row, next)
    }
  }

  _row(line, number) {
    const row = document.createElement('div')
    row.className = `line ${line.stream ?? ''}`
    row.style.top = `${number * LINE}px`
    if (line.attempt !== undefined) {
      row.classList.add('attempt')
      row.textContent = `Attempt ${line.attempt + 1}`
      return row
    }
    if (this.found[this.current] === number) row.classList.add('current')
    row.append(part('line-number', line.no))
    if (this.withTimes) {
      const time = part('line-time', clock(line.at))
      time.title = absolute(line.at)
      row.append(time)
    }
    const text = part('line-text', '')
    const spans =
      line.plain === line.text ? [{ text: line.text, style: line.style }] : parse(line.text, line.style).spans
    let room = LONGEST
    for (const span of spans) {
      if (room <= 0) break
      this._mark(text, { ...span, text: span.text.slice(0, room) })
      room -= span.text.length
    }
    if (line.plain.length > LONGEST) {
      text.append(part('line-more', ` … ${counted(line.plain.length - LONGEST, 'more character')}: download the log`))
    }
    row.append(text)
    return row
  }

  /** A span, with what is searched for marked. */
  _mark(parent, { text, style }) {
    const words = this.words.toLowerCase()
    const lower = text.toLowerCase()
    let at = 0
    for (let found = words ? lower.indexOf(words) : -1; found >= 0; found = lower.indexOf(words, at)) {
      if (found > at) parent.append(element({ text: text.slice(at, found), style }))
      const mark = document.createElement('mark')
      mark.append(element({ text: text.slice(found, found + words.length), style: PLAIN }))
      parent.append(mark)
      at = found + words.length
    }
    if (at < text.length) parent.append(element({ text: text.slice(at), style }))
  }

  // --- search ---

  _search(words) {
    this.words = words
    clearTimeout(this._searching)
    this._searching = setTimeout(() => {
      this._find()
      this.page.update()
    }, SEARCH_MS)
  }

  /** Go to the first match at or after what is seen. */
  _find() {
    this.found = []
    this._findFrom(0)
    const top = Math.floor((this._node?.scrollTop ?? 0) / LINE)
    const next = this.found.findIndex((number) => number >= top)
    this.current = this.found.length ? Math.max(0, next) : -1
    this._show()
    this._redraw()
  }

  /** Lines from this one on are new: what was found before stays. */
  _findFrom(first) {
    const words = this.words.toLowerCase()
    this.found = this.found.filter((number) => number < first)
    if (this.current >= this.found.length) this.current = -1
    const { all } = this.lines
    for (let number = first; words && number < all.length; number++) {
      if (all[number].plain.toLowerCase().includes(words)) this.found.push(number)
    }
  }

  _go(step) {
    if (!this.found.length) return
    this.current = (this.current + step + this.found.length) % this.found.length
    this._show()
    this._redraw()
    this.page.update()
  }

  _show() {
    if (!(this.current in this.found)) return
    this.follows = false
    this._node.scrollTop = this.found[this.current] * LINE - this._node.clientHeight / 2
  }

  _key(event) {
    if (event.target.type === 'search' && event.key === 'Enter') {
      event.preventDefault()
      this._go(event.shiftKey ? -1 : 1)
    }
  }

  _toEnd() {
    this._draw()
    this.page.update()
  }

  _download() {
    const address = URL.createObjectURL(new Blob([this.lines.text(), '\n'], { type: 'text/plain' }))
    const made = document.createElement('a')
    made.href = address
    made.download = `${this.name.replace(/[^\p{L}\p{N}._-]+/gu, '-').slice(0, 100)}.log`
    made.click()
    setTimeout(() => URL.revokeObjectURL(address), 10_000)
  }
}

function part(kind, text) {
  const made = document.createElement('span')
  made.className = kind
  made.textContent = text
  return made
}
