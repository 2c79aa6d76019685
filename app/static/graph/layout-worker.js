// Layouts off the page's thread: {id, problem} in, {id, solution} or {id, error} out.

import { layout } from './layout.js'

addEventListener('message', ({ data: { id, problem } }) => {
  try {
    postMessage({ id, solution: layout(problem) })
  } catch (error) {
    postMessage({ id, error: String(error) })
  }
})
