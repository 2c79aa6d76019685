// Layouts: small ones at once, large ones in a worker. Only the answer to the last question counts.

import { layout } from './layout.js'

const AT_ONCE = 200

export class Layouter {
  /** @type {Worker | null} */
  #worker = null
  #asked = 0

  /**
   * @param {import('./layout.js').Problem} problem
   * @param {(solution: import('./layout.js').Solution) => void} done
   */
  solve(problem, done) {
    const id = ++this.#asked
    if (problem.nodes.length + problem.edges.length <= 2 * AT_ONCE) {
      done(layout(problem))
      return
    }
    const here = () => {
      this.stop()
      if (id === this.#asked) done(layout(problem))
    }
    try {
      this.#worker ??= new Worker(new URL('./layout-worker.js', import.meta.url), { type: 'module' })
    } catch {
      // A page may not start a worker from a foreign host.
      here()
      return
    }
    this.#worker.onerror = here
    this.#worker.onmessage = ({ data }) => {
      if (data.id !== this.#asked) return
      if (data.error) throw new Error(data.error)
      done(data.solution)
    }
    this.#worker.postMessage({ id, problem })
  }

  stop() {
    this.#worker?.terminate()
    this.#worker = null
  }

  /** Let a question that is under way go unanswered. */
  forget() {
    this.#asked++
    this.stop()
  }
}
