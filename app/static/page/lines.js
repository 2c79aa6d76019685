// Log chunks put together as lines. A chunk may hold many lines, or a part of one.

import { parse, PLAIN } from './ansi.js'

/** In one attempt, each stream (stdout, stderr) has a line that is not yet ended. */
export class Lines {
  constructor() {
    this.clear()
  }

  clear() {
    this.all = [] // {text, plain, style, at, stream, no} or {attempt}
    this.place = [0, -1] // of the last chunk: attempt, sequence
    this.heads = 0 // of attempts, among all
    this._open = new Map()
    this._styles = new Map()
  }

  /** Add a chunk. Answers the number of the first line that changed. */
  add(attempt, { sequence, data, timestamp_ms: at, stream }) {
    let first = this.all.length
    if (attempt < this.place[0] || (attempt === this.place[0] && sequence <= this.place[1])) {
      first = this._drop(attempt) // the attempt was given back, and began again
    }
    if (attempt !== this.place[0] || !this.all.length) {
      this._open.clear()
      this._styles.clear()
      this.all.push({ attempt, text: '', plain: '' })
      this._count = 0
      this.heads += 1
    }
    this.place = [attempt, sequence]

    const parts = data.split('\n')
    parts.forEach((part, place) => {
      const isLast = place === parts.length - 1
      if (isLast && part === '') return
      let line = this._open.get(stream)
      if (line) {
        first = Math.min(first, line.number)
        line.text += part
      } else {
        const style = this._styles.get(stream) ?? PLAIN
        line = { text: part, at, stream, style, number: this.all.length, no: ++this._count }
        this.all.push(line)
      }
      if (isLast) this._open.set(stream, line)
      else this._open.delete(stream)
      this._read(line)
    })
    return first
  }

  /** What of it can be searched, and the style after it. */
  _read(line) {
    // Most lines have no escapes, and are kept once.
    if (!/[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(line.text)) {
      line.plain = line.text
      this._styles.set(line.stream, line.style)
      return
    }
    const { spans, style } = parse(line.text, line.style)
    line.plain = spans.map((span) => span.text).join('')
    this._styles.set(line.stream, style)
  }

  _drop(attempt) {
    const first = this.all.findIndex((line) => line.attempt >= attempt)
    this.all.length = first < 0 ? 0 : first
    this.heads = this.all.filter((line) => line.attempt !== undefined).length
    this._open.clear()
    this._styles.clear()
    this.place = [-1, -1]
    return this.all.length
  }

  /** All of it, as it was written. */
  text() {
    return this.all
      .map((line) => (line.attempt === undefined ? line.text : `--- attempt ${line.attempt + 1} ---`))
      .join('\n')
  }
}
