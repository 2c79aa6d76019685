// Where the graph is seen from: screen = graph * zoom + (x, y).

export const MOST_ZOOM = 4
const LEAST_ZOOM = 0.25

export class View {
  x = 0
  y = 0
  zoom = 1
  width = 0
  height = 0
  /** Of the graph, for the least zoom: one that shows all of it is always allowed. */
  bounds = { w: 0, h: 0 }
  padding = 40

  fitZoom() {
    const { w, h } = this.bounds
    // On a phone the padding may not eat the graph.
    const padding = Math.min(this.padding, this.width / 16, this.height / 16)
    const room = Math.min((this.width - 2 * padding) / (w || 1), (this.height - 2 * padding) / (h || 1))
    return Math.max(0.0005, Math.min(1, room))
  }

  clamp(/** @type {number} */ zoom) {
    return Math.min(MOST_ZOOM, Math.max(Math.min(LEAST_ZOOM, this.fitZoom()), zoom))
  }

  fit() {
    this.zoom = this.fitZoom()
    this.x = (this.width - this.bounds.w * this.zoom) / 2
    this.y = (this.height - this.bounds.h * this.zoom) / 2
  }

  /** The point of the graph at (px, py) stays there. */
  zoomAt(/** @type {number} */ px, /** @type {number} */ py, /** @type {number} */ zoom) {
    const next = this.clamp(zoom)
    this.x = px - ((px - this.x) * next) / this.zoom
    this.y = py - ((py - this.y) * next) / this.zoom
    this.zoom = next
  }

  pan(/** @type {number} */ dx, /** @type {number} */ dy) {
    this.x += dx
    this.y += dy
    // Some of the graph stays in sight.
    const margin = 60
    const { w, h } = this.bounds
    this.x = Math.min(this.width - margin, Math.max(margin - w * this.zoom, this.x))
    this.y = Math.min(this.height - margin, Math.max(margin - h * this.zoom, this.y))
  }

  centreOn(/** @type {number} */ gx, /** @type {number} */ gy) {
    this.x = this.width / 2 - gx * this.zoom
    this.y = this.height / 2 - gy * this.zoom
  }

  toGraph(/** @type {number} */ px, /** @type {number} */ py) {
    return { x: (px - this.x) / this.zoom, y: (py - this.y) / this.zoom }
  }

  /** What of the graph is in sight, and some more. */
  rect(/** @type {number} */ margin = 0) {
    const a = this.toGraph(-margin, -margin)
    const b = this.toGraph(this.width + margin, this.height + margin)
    return { left: a.x, top: a.y, right: b.x, bottom: b.y }
  }

  /** Move as little as shows a box whole. @param {{x: number, y: number, w: number, h: number}} box */
  reveal(box, margin = 24) {
    const left = box.x * this.zoom + this.x
    const top = box.y * this.zoom + this.y
    const right = left + box.w * this.zoom
    const bottom = top + box.h * this.zoom
    if (left < margin) this.x += margin - left
    else if (right > this.width - margin) this.x -= Math.min(right - this.width + margin, left - margin)
    if (top < margin) this.y += margin - top
    else if (bottom > this.height - margin) this.y -= Math.min(bottom - this.height + margin, top - margin)
  }
}
