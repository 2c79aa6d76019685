// Times and durations as text. What has a moment in it says so by data-since or data-at, and ticks.

import { now } from './api.js'
import { h } from './dom.js'

const ABSOLUTE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' })
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23', // hour12: false says 24:00 in some languages
})
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'long' })
const UNITS = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 30],
  ['month', 12],
  ['year', Infinity],
]

/** A duration, as the graph writes it: 850ms, 12s, 3m 5s, 2h 3m, 4d 1h. */
export function duration(ms) {
  if (ms === null || ms === undefined) return ''
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`
  const secs = Math.floor(ms / 1000)
  if (secs < 60) return `${secs}s`
  if (secs < 3600) return `${Math.floor(secs / 60)}m ${secs % 60}s`
  if (secs < 86400) return `${Math.floor(secs / 3600)}h ${Math.floor(secs / 60) % 60}m`
  return `${Math.floor(secs / 86400)}d ${Math.floor(secs / 3600) % 24}h`
}

export function absolute(ms) {
  return ABSOLUTE.format(ms)
}

export function clock(ms) {
  return `${CLOCK.format(ms)}.${String(ms % 1000).padStart(3, '0')}`
}

export function relative(ms) {
  let amount = (ms - now()) / 1000
  if (Math.abs(amount) < 2) return 'just now'
  for (const [unit, size] of UNITS) {
    if (Math.abs(amount) < size) return RELATIVE.format(Math.trunc(amount), unit)
    amount /= size
  }
  return absolute(ms)
}

/** A moment: relative, absolute when pointed at. */
export function when(ms) {
  if (ms === null || ms === undefined) return '–'
  return h('time', { datetime: new Date(ms).toISOString(), title: absolute(ms), 'data-at': ms }, relative(ms))
}

/** How long it takes since then, or took until then. */
export function elapsed(from, to) {
  if (from === null || from === undefined) return '–'
  if (to !== null && to !== undefined) return h('span', { class: 'number' }, duration(to - from))
  return h('span', { class: 'number', 'data-since': from }, running(from))
}

/** Whole seconds: what ticks need not flicker. */
function running(from) {
  return duration(Math.max(1000, Math.floor((now() - from) / 1000) * 1000))
}

function tick() {
  for (const each of document.querySelectorAll('[data-since]')) say(each, running(Number(each.dataset.since)))
  for (const each of document.querySelectorAll('[data-at]')) say(each, relative(Number(each.dataset.at)))
}

function say(element, text) {
  if (element.firstChild && element.firstChild.data !== text) element.firstChild.data = text
}

setInterval(tick, 1000)

export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`
}

export function percent(rate) {
  return rate === null ? '–' : `${Math.round(rate * 1000) / 10} %`
}
