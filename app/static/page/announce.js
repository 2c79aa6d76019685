// Changes, told to those who do not see them: by one polite live region, in one go, each once.

const WAIT_MS = 250
const MOST = 4 // nobody listens to more; the last tell most

let speaker = null
let waiting = []
let timer = null

export function speakBy(node) {
  speaker = node
}

export function announce(text) {
  if (!text || waiting.includes(text)) return
  waiting.push(text)
  timer ??= setTimeout(speak, WAIT_MS)
}

function speak() {
  const left = waiting.length - MOST
  const texts = left > 0 ? [`${left} more`, ...waiting.slice(-MOST)] : waiting
  speaker.textContent = texts.join('. ')
  stop()
}

function stop() {
  clearTimeout(timer)
  timer = null
  waiting = []
}

/** Another view: what is said there is new, and what was about to be said is not of it. */
export function hush() {
  stop()
  if (speaker) speaker.textContent = ''
}
