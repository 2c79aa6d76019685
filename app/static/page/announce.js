// Changes, told to those who do not see them: by one polite live region, each once.

let speaker = null
let said = ''

export function speakBy(node) {
  speaker = node
}

export function announce(text) {
  if (!text || text === said || !speaker) return
  said = text
  speaker.textContent = text
}

/** Another view: what is said there is new. */
export function hush() {
  said = ''
}
