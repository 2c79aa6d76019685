// What terminals make of text: colours and the like, as spans of plain text. Other escape sequences are left out, other
// control characters shown as pictures of themselves.

import { visible } from './parts.js'

/** SGR sequences are kept apart; the others (CSI, OSC, and two-character ones) are dropped. */
const ESCAPE =
  /\x1b(?:\[([0-9;:]*)m|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|\x9b[0-?]*[ -/]*[@-~]/g

export const PLAIN = Object.freeze({})

/** A line: its spans [{text, style}], and the style that the next one begins with. */
export function parse(line, style = PLAIN) {
  const text = overwritten(line)
  const spans = []
  let at = 0
  for (const found of text.matchAll(ESCAPE)) {
    if (found.index > at) spans.push({ text: visible(text.slice(at, found.index)), style })
    at = found.index + found[0].length
    if (found[1] !== undefined) style = changed(style, found[1])
  }
  if (at < text.length) spans.push({ text: visible(text.slice(at)), style })
  return { spans, style }
}

/** A carriage return begins the line anew, as progress bars do. */
function overwritten(line) {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  return text.includes('\r') ? text.slice(text.lastIndexOf('\r') + 1) : text
}

const ON = { 1: 'bold', 2: 'faint', 3: 'italic', 4: 'underline', 7: 'inverse', 9: 'struck' }
const OFF = { 22: ['bold', 'faint'], 23: ['italic'], 24: ['underline'], 27: ['inverse'], 29: ['struck'] }

function changed(before, parameters) {
  const codes = parameters.split(/[;:]/).map(Number)
  let style = { ...before }
  for (let place = 0; place < codes.length; place++) {
    const code = codes[place]
    if (code === 0) style = {}
    else if (ON[code]) style[ON[code]] = true
    else if (OFF[code]) for (const key of OFF[code]) delete style[key]
    else if (code === 39) delete style.colour
    else if (code === 49) delete style.ground
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(codes, place + 1)
      if (colour !== null) style[code === 38 ? 'colour' : 'ground'] = colour
      place += used
    } else if (code >= 30 && code <= 37) style.colour = code - 30
    else if (code >= 40 && code <= 47) style.ground = code - 40
    else if (code >= 90 && code <= 97) style.colour = code - 82
    else if (code >= 100 && code <= 107) style.ground = code - 92
  }
  return style
}

/** A colour, 0 to 15 by the theme or else as rgb(…), and how many numbers it took. */
function extended(codes, place) {
  if (codes[place] === 5) {
    const number = codes[place + 1]
    return [number >= 0 && number <= 255 ? ofPalette(number) : null, 2]
  }
  if (codes[place] === 2) {
    const parts = codes.slice(place + 1, place + 4)
    return [parts.length === 3 && parts.every((part) => part >= 0 && part <= 255) ? `rgb(${parts.join(' ')})` : null, 4]
  }
  return [null, 0]
}

function ofPalette(number) {
  if (number < 16) return number
  if (number >= 232) {
    const grey = 8 + 10 * (number - 232)
    return `rgb(${grey} ${grey} ${grey})`
  }
  const level = (each) => (each ? 55 + 40 * each : 0)
  const place = number - 16
  return `rgb(${level(Math.floor(place / 36))} ${level(Math.floor(place / 6) % 6)} ${level(place % 6)})`
}

/** The element of a span. */
export function element({ text, style }) {
  if (style === PLAIN) return document.createTextNode(text)
  const made = document.createElement('span')
  made.textContent = text
  for (const [key, value] of Object.entries(style)) {
    if (value === true) made.classList.add(`a-${key}`)
    else if (typeof value === 'number') made.classList.add(`a-${key}-${value}`)
    else made.style.setProperty(key === 'colour' ? 'color' : 'background-color', value)
  }
  return made
}
