// What comes by itself: server-sent events, read with fetch (an EventSource cannot send a token), and polling. Both say
// when the connection is lost, try again, catch up, and rest while nobody looks: a browser has few connections.

import { ApiError, send, tokens } from './api.js'

const SILENT_MS = 40_000 // the server says something each 15 s
const REST_MS = 20_000 // hidden for so long
const FIRST_WAIT_MS = 500
const LAST_WAIT_MS = 5000
const RETRY_MS = 2000

// --- whether it is known that the server is there ---

const troubled = new Set()
let tell = () => {}

/** Who is told, each time it changes, whether a connection is lost. */
export function setWatcher(watcher) {
  tell = watcher
}

function trouble(who, isLost) {
  const before = troubled.size
  if (isLost) troubled.add(who)
  else troubled.delete(who)
  if (Boolean(before) !== Boolean(troubled.size)) tell(troubled.size > 0)
}

// --- waiting ---

/** Ends early when the page is seen again or the network is back, and when the signal says so. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    const look = () => !document.hidden && done()
    function done() {
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', look)
      removeEventListener('online', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    document.addEventListener('visibilitychange', look)
    addEventListener('online', done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}

/** Until somebody looks. */
async function seen(signal) {
  while (document.hidden && !signal.aborted) await pause(60_000, signal)
}

/** Calls `rest` when nobody has looked for a while; answers what ends the watch. */
function whenHidden(rest) {
  let timer = null
  const look = () => {
    clearTimeout(timer)
    if (document.hidden) timer = setTimeout(rest, REST_MS)
  }
  document.addEventListener('visibilitychange', look)
  look()
  return () => {
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', look)
  }
}

// --- streams ---

/**
 * Read a stream until it ends, or fails for good: an ApiError.
 * onEvent: called with (event, data, id). Each time that it was connected anew, the server tells what was missed.
 */
export async function follow(url, { signal, onEvent }) {
  const who = {}
  let lastId = null
  let wait = FIRST_WAIT_MS
  try {
    while (!signal.aborted) {
      await seen(signal)
      const mine = new AbortController()
      const stop = () => mine.abort()
      signal.addEventListener('abort', stop)
      const notHidden = whenHidden(stop)
      try {
        const headers = lastId === null ? {} : { 'last-event-id': lastId }
        const response = await send('GET', url, { signal: mine.signal, headers })
        trouble(who, false)
        wait = FIRST_WAIT_MS
        for await (const { event, data, id } of events(response, mine)) {
          if (id) lastId = id
          if (event === 'error') break
          onEvent(event, JSON.parse(data), id)
          if (event === 'end') return
        }
      } catch (error) {
        if (error.status === 401) {
          await anotherToken(signal)
          continue
        }
        if (error instanceof ApiError && !error.passing) throw error
        if (!(error instanceof ApiError) && !mine.signal.aborted) throw error
      } finally {
        mine.abort()
        notHidden()
        signal.removeEventListener('abort', stop)
      }
      if (signal.aborted || document.hidden) continue
      trouble(who, true)
      await pause(wait * (0.75 + Math.random() / 2), signal)
      wait = Math.min(2 * wait, LAST_WAIT_MS)
    }
  } finally {
    trouble(who, false)
  }
}

/** Nobody gave one when asked: until somebody does, elsewhere on the page. */
function anotherToken(signal) {
  return new Promise((resolve) => {
    tokens.addEventListener('given', resolve, { once: true })
    signal.addEventListener('abort', resolve, { once: true })
  })
}

/** The events of a response. Its end, however it comes, is the end of them. */
async function* events(response, controller) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const timer = setTimeout(() => controller.abort(), SILENT_MS)
    let piece
    try {
      piece = await reader.read()
    } catch {
      return
    } finally {
      clearTimeout(timer)
    }
    if (piece.done) return
    const blocks = (rest + piece.value).split('\n\n')
    rest = blocks.pop()
    for (const block of blocks) {
      const fields = new Map()
      for (const line of block.split('\n')) {
        const colon = line.indexOf(': ')
        if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2))
      }
      if (fields.has('data')) yield { event: fields.get('event'), data: fields.get('data'), id: fields.get('id') }
    }
  }
}

// --- polling ---

/**
 * What a view shows: loaded now, again when asked to, and every so many milliseconds while somebody looks.
 * `data` is null until it is there, `error` what went wrong meanwhile; with data, it shows the old.
 */
export class Resource {
  constructor(page, load, { every = null } = {}) {
    this.data = null
    this.error = null
    this.loading = false
    this.took = 0 // milliseconds, the last time
    this._page = page
    this._load = load
    this._asked = false
    this._waits = false // to try again
    page.signal.addEventListener('abort', () => trouble(this, false))
    this.again()
    if (every) this._repeat(every)
  }

  /** Load it, and once more if it was asked for meanwhile. */
  again = async () => {
    this._asked = true
    if (this.loading) return
    const { signal } = this._page
    while (this._asked && !signal.aborted) {
      this._asked = false
      this.loading = true
      const began = performance.now()
      try {
        this.data = await this._load({ signal })
        this.error = null
      } catch (error) {
        if (!signal.aborted) this.error = error
      }
      this.loading = false
      this.took = performance.now() - began
      if (signal.aborted) break
      trouble(this, Boolean(this.data !== null && this.error?.passing))
      this._page.update()
      if (this.error?.passing && !this._waits) this._later()
    }
  }

  async _later() {
    this._waits = true
    await pause(RETRY_MS, this._page.signal)
    this._waits = false
    if (!this._page.signal.aborted) this.again()
  }

  async _repeat(every) {
    const { signal } = this._page
    while (!signal.aborted) {
      await pause(every, signal)
      await seen(signal)
      if (!signal.aborted) await this.again()
    }
  }
}

/** At most once in so many milliseconds (or what a function says), the last call included. */
export function seldom(ms, signal, call) {
  let timer = null
  let last = -Infinity
  signal.addEventListener('abort', () => clearTimeout(timer))
  return () => {
    if (timer !== null || signal.aborted) return
    timer = setTimeout(
      () => {
        timer = null
        last = Date.now()
        call()
      },
      Math.max(0, last + (typeof ms === 'function' ? ms() : ms) - Date.now()),
    )
  }
}
