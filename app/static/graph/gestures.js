// Mouse, pen and fingers: what they did, in terms of the graph. Empty space pans, and with Shift selects; a finger pans
// anywhere; two pinch. On a job a mouse selects text, as it does anywhere.

const CLICK_PX = 5

/**
 * @typedef {object} Host
 * @property {() => import('./view.js').View} view
 * @property {(x: number, y: number) => number} itemAt by a point of the stage; -1: none
 * @property {() => void} moved
 * @property {(x: number, y: number, event: PointerEvent) => void} click
 * @property {(at: {x: number, y: number} | null) => void} hover
 * @property {(band: {left: number, top: number, right: number, bottom: number} | null, done: boolean) => void} band
 * @property {() => boolean} wheelZooms whether a wheel without Ctrl does
 */

export class Gestures {
  /** @type {Map<number, {x: number, y: number}>} */
  #pointers = new Map()
  /** @type {{x: number, y: number, kind: 'pan' | 'band' | 'none', going: boolean} | null} */
  #drag = null
  #pinched = false

  /** @param {HTMLElement} stage @param {Host} host @param {AbortSignal} signal */
  constructor(stage, host, signal) {
    this.stage = stage
    this.host = host
    const on = (/** @type {string} */ type, /** @type {(event: any) => void} */ listener) =>
      stage.addEventListener(type, listener, { signal, passive: type !== 'wheel' })
    on('pointerdown', (event) => this.#down(event))
    on('pointermove', (event) => this.#move(event))
    on('pointerup', (event) => this.#up(event, true))
    on('pointercancel', (event) => this.#up(event, false))
    on('pointerleave', () => !this.#drag && host.hover(null))
    on('wheel', (event) => this.#wheel(event))
  }

  #at(/** @type {{clientX: number, clientY: number}} */ event) {
    const box = this.stage.getBoundingClientRect()
    return { x: event.clientX - box.left, y: event.clientY - box.top }
  }

  #down(/** @type {PointerEvent} */ event) {
    if (event.pointerType === 'mouse' && event.button > 1) return
    const at = this.#at(event)
    this.#pointers.set(event.pointerId, at)
    if (this.#pointers.size > 1) {
      this.#pinched = true
      this.#drag = null
      for (const id of this.#pointers.keys()) this.#capture(id)
      return
    }
    this.#pinched = false
    const onItem = this.host.itemAt(at.x, at.y) >= 0
    const mouse = event.pointerType === 'mouse'
    const kind = mouse && event.shiftKey && !onItem ? 'band' : mouse && onItem && event.button === 0 ? 'none' : 'pan'
    this.#drag = { ...at, kind, going: false }
  }

  #move(/** @type {PointerEvent} */ event) {
    const at = this.#at(event)
    const before = this.#pointers.get(event.pointerId)
    if (!before) {
      this.host.hover(at)
      return
    }
    if (this.#pointers.size === 2) this.#pinch(event.pointerId, at)
    this.#pointers.set(event.pointerId, at)
    const drag = this.#drag
    if (!drag || drag.kind === 'none') return
    if (!drag.going) {
      if (Math.hypot(at.x - drag.x, at.y - drag.y) < CLICK_PX) return
      drag.going = true
      this.#capture(event.pointerId)
      this.stage.classList.add(drag.kind === 'pan' ? 'panning' : 'banding')
      if (drag.kind === 'pan') this.host.view().pan(at.x - drag.x, at.y - drag.y)
    } else if (drag.kind === 'pan') this.host.view().pan(at.x - before.x, at.y - before.y)
    if (drag.kind === 'pan') this.host.moved()
    else this.host.band(span(drag, at), false)
  }

  #pinch(/** @type {number} */ id, /** @type {{x: number, y: number}} */ at) {
    const [other] = [...this.#pointers].filter(([key]) => key !== id).map(([, point]) => point)
    const before = /** @type {{x: number, y: number}} */ (this.#pointers.get(id))
    const middle = (/** @type {{x: number, y: number}} */ p) => ({ x: (p.x + other.x) / 2, y: (p.y + other.y) / 2 })
    const apart = (/** @type {{x: number, y: number}} */ p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y))
    const [from, to] = [middle(before), middle(at)]
    const view = this.host.view()
    view.pan(to.x - from.x, to.y - from.y)
    view.zoomAt(to.x, to.y, (view.zoom * apart(at)) / apart(before))
    this.host.moved()
  }

  #up(/** @type {PointerEvent} */ event, /** @type {boolean} */ meant) {
    if (!this.#pointers.delete(event.pointerId)) return
    const drag = this.#drag
    this.#drag = null
    this.stage.classList.remove('panning', 'banding')
    if (this.#pinched || !drag) return
    const at = this.#at(event)
    if (drag.going && drag.kind === 'band') this.host.band(meant ? span(drag, at) : null, true)
    const still = Math.hypot(at.x - drag.x, at.y - drag.y) < CLICK_PX
    if (meant && !drag.going && still && event.button === 0) this.host.click(at.x, at.y, event)
  }

  #wheel(/** @type {WheelEvent} */ event) {
    if (!event.ctrlKey && !event.metaKey && !this.host.wheelZooms()) return
    event.preventDefault()
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1
    // A pinch on a touchpad comes as a wheel with Ctrl, in small steps.
    const speed = event.ctrlKey ? 0.01 : 0.0015
    const step = Math.max(-0.7, Math.min(0.7, -event.deltaY * lines * speed))
    const { x, y } = this.#at(event)
    const view = this.host.view()
    view.zoomAt(x, y, view.zoom * Math.exp(step))
    this.host.moved()
  }

  #capture(/** @type {number} */ id) {
    try {
      this.stage.setPointerCapture(id)
    } catch {
      // The pointer has just gone.
    }
  }
}

/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b */
const span = (a, b) => ({
  left: Math.min(a.x, b.x),
  top: Math.min(a.y, b.y),
  right: Math.max(a.x, b.x),
  bottom: Math.max(a.y, b.y),
})
