// Says changes of status in a live region: in one go, each once, and many of them as a sum.

import { fill } from './labels.js'
import { STATUSES, visible } from './model.js'

const WAIT_MS = 400
const MOST = 4

export class Announcer {
  /** @type {Map<string, import('./model.js').Job>} */
  #changed = new Map()
  /** @type {Map<string, string>} what was last said of a job */
  #said = new Map()
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  /** @type {import('./labels.js').Labels} */
  labels

  /** @param {HTMLElement} region @param {import('./labels.js').Labels} labels */
  constructor(region, labels) {
    this.region = region
    this.labels = labels
  }

  /** @param {import('./model.js').Job} job */
  changed(job) {
    this.#changed.set(job.id, job)
    this.#timer ??= setTimeout(() => this.#say(), WAIT_MS)
  }

  forget() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#changed.clear()
    this.#said.clear()
    this.region.textContent = ''
  }

  #say() {
    this.#timer = undefined
    const news = [...this.#changed.values()].filter((job) => this.#said.get(job.id) !== job.status)
    this.#changed.clear()
    for (const job of news) this.#said.set(job.id, job.status)
    const lines =
      news.length <= MOST
        ? news.map((job) => fill(this.labels.status, { name: shortened(job.name), status: this.labels[job.status] }))
        : STATUSES.map((status) => ({ status, count: news.filter((job) => job.status === status).length }))
            .filter(({ count }) => count)
            .map(({ status, count }) => fill(this.labels.many, { count, status: this.labels[status] }))
    if (lines.length) this.region.textContent = lines.join('. ')
  }
}

/** A name of a length that one would listen to. */
export function shortened(/** @type {string} */ name) {
  const letters = [...visible(name.slice(0, 1000))]
  return letters.length > 120 ? `${letters.slice(0, 120).join('')}…` : letters.join('')
}
