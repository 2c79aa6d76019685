// Edges and frames, and, when jobs are too many and too small to read, the jobs: on a canvas. It is a little larger than
// what is seen, so that a picture which takes its time to paint can be moved as it is meanwhile.

import { statusOf } from './model.js'

/**
 * @typedef {import('./model.js').Scene} Scene
 * @typedef {import('./model.js').Edge} Edge
 * @typedef {import('./model.js').Item} Item
 * @typedef {object} Picture
 * @property {Scene} scene
 * @property {import('./view.js').View} view
 * @property {Record<string, string>} colors
 * @property {import('./theme.js').Theme} theme
 * @property {boolean} down
 * @property {boolean} overview
 * @property {Set<number>} lit items of the highlighted path
 * @property {Set<string>} selected ids
 */

const MARGIN = 160
const BATCH = 64
const BEND = 80

export class Painter {
  #context
  painted = { x: 0, y: 0, zoom: 1 }
  #size = ''
  /** How long the last picture took. */
  cost = 0
  at = -Infinity

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'))
  }

  /** @param {Picture} picture */
  paint(picture) {
    const start = performance.now()
    const { view, colors } = picture
    const ratio = Math.min(2, devicePixelRatio || 1)
    const size = `${view.width} ${view.height} ${ratio}`
    const width = view.width + 2 * MARGIN
    const height = view.height + 2 * MARGIN
    const context = this.#context
    if (size !== this.#size) {
      this.#size = size
      this.canvas.width = Math.round(width * ratio)
      this.canvas.height = Math.round(height * ratio)
      this.canvas.style.width = `${width}px`
      this.canvas.style.height = `${height}px`
    } else {
      context.setTransform(1, 0, 0, 1, 0, 0)
      context.clearRect(0, 0, this.canvas.width, this.canvas.height)
    }
    const scale = view.zoom * ratio
    context.setTransform(scale, 0, 0, scale, (view.x + MARGIN) * ratio, (view.y + MARGIN) * ratio)
    this.painted = { x: view.x, y: view.y, zoom: view.zoom }
    this.shift(view)

    context.strokeStyle = colors.edge
    this.#frames(picture)
    this.#edges(picture)
    if (picture.overview) this.#items(picture)
    this.at = performance.now()
    this.cost = this.at - start
  }

  /** Put the last picture where the view is now. @param {import('./view.js').View} view */
  shift(view) {
    const { x, y, zoom } = this.painted
    const scale = view.zoom / zoom
    this.canvas.style.transform = `translate(${view.x - (x + MARGIN) * scale}px, ${view.y - (y + MARGIN) * scale}px) scale(${scale})`
  }

  /** @param {Picture} picture */
  #frames({ scene, view, colors, theme }) {
    const context = this.#context
    context.strokeStyle = colors.junction
    context.lineWidth = Math.max(1, 0.75 / view.zoom)
    context.setLineDash([4, 4])
    for (const item of scene.items) {
      if (item.kind !== 'frame') continue
      context.beginPath()
      context.roundRect(item.x, item.y, item.w, item.frameH, theme.layout.node_radius + 4)
      context.stroke()
    }
    context.setLineDash([])
  }

  /** @param {Picture} picture */
  #edges({ scene, view, colors, theme, down, overview, lit }) {
    const context = this.#context
    const seen = view.rect(MARGIN)
    const plain = []
    const bright = []
    for (const edge of scene.edges) {
      const [left, top, right, bottom] = edge.box
      if (right < seen.left || left > seen.right || bottom < seen.top || top > seen.bottom) continue
      if (lit.has(edge.from) && lit.has(edge.to)) bright.push(edge)
      else plain.push(edge)
    }
    const least = (/** @type {number} */ width) => Math.max(width, 0.6 / view.zoom)
    const styles = theme.edge_styles
    const styled = Object.keys(styles).length > 0
    const own = (/** @type {Edge} */ edge) => (styled ? styles[edgeName(scene, edge)] : undefined)

    context.strokeStyle = colors.edge
    context.lineWidth = least(view.zoom < 0.3 ? 1.5 : 2)
    let inPath = 0
    context.beginPath()
    for (const edge of plain) {
      if (own(edge)) continue
      trace(context, edge.route, down, overview && view.zoom < 0.3)
      // One path of thousands of lines is slower than many short ones.
      if (++inPath % BATCH === 0) {
        context.stroke()
        context.beginPath()
      }
    }
    context.stroke()
    for (const edge of styled ? plain.filter(own) : []) {
      const { color, width, dash } = /** @type {import('./theme.js').EdgeStyle} */ (own(edge))
      context.strokeStyle = color ?? colors.edge
      context.lineWidth = least(width ?? 2)
      context.setLineDash(dash ?? [])
      context.beginPath()
      trace(context, edge.route, down, false)
      context.stroke()
    }
    context.setLineDash([])

    context.strokeStyle = colors.highlight
    context.lineWidth = least(2.5)
    for (const edge of bright) {
      context.beginPath()
      trace(context, edge.route, down, overview && view.zoom < 0.3)
      context.stroke()
    }
    if (overview) return
    this.#dots(plain, theme.layout.junction_dot_radius, colors.junction)
    this.#dots(bright, theme.layout.junction_dot_radius, colors.highlight)
  }

  /** @param {Edge[]} edges @param {number} radius @param {string} color */
  #dots(edges, radius, color) {
    const context = this.#context
    context.fillStyle = color
    context.beginPath()
    for (const { route } of edges) {
      for (const at of [0, route.length - 2]) {
        context.moveTo(route[at] + radius, route[at + 1])
        context.arc(route[at], route[at + 1], radius, 0, 2 * Math.PI)
      }
    }
    context.fill()
  }

  /** @param {Picture} picture */
  #items({ scene, view, colors, lit, selected }) {
    const context = this.#context
    const seen = view.rect(MARGIN)
    const line = Math.max(1, 1 / view.zoom)
    /** @type {Record<string, Item[]>} */
    const byStatus = {}
    /** @type {{item: Item, color: string}[]} */
    const marked = []
    scene.items.forEach((item, i) => {
      if (item.x > seen.right || item.x + item.w < seen.left || item.y > seen.bottom || item.y + item.h < seen.top) return
      if (item.kind === 'frame') return
      ;(byStatus[statusOf(item)] ??= []).push(item)
      if (item.job && selected.has(item.job.id)) marked.push({ item, color: colors.selected })
      else if (lit.has(i)) marked.push({ item, color: colors.highlight })
    })
    for (const [status, items] of Object.entries(byStatus)) {
      drawStatus(context, /** @type {import('./model.js').Status} */ (status), items, colors, line, 40 * view.zoom > 5)
    }
    context.lineWidth = 2 * line
    for (const { item, color } of marked) {
      context.strokeStyle = color
      context.strokeRect(item.x - 2 * line, item.y - 2 * line, item.w + 4 * line, item.h + 4 * line)
    }
  }
}

/**
 * Boxes that tell the six statuses apart by their filling too: success full, failure full and crossed out, running
 * half full, queued empty, skipped empty with a slash, cancelled empty with a bar.
 * @param {CanvasRenderingContext2D} context
 * @param {import('./model.js').Status} status
 * @param {Item[]} items
 * @param {Record<string, string>} colors
 * @param {number} line
 * @param {boolean} detailed
 */
function drawStatus(context, status, items, colors, line, detailed) {
  const full = status === 'success' || status === 'failure'
  context.fillStyle = full ? colors[status] : colors.node_bg
  context.strokeStyle = colors[status]
  context.lineWidth = line
  context.beginPath()
  for (const { x, y, w, h } of items) context.rect(x, y, w, h)
  context.fill()
  if (!full) context.stroke()
  if (status === 'running') {
    context.fillStyle = colors.running
    context.beginPath()
    for (const { x, y, w, h } of items) context.rect(x, y, w / 2, h)
    context.fill()
  }
  if (!detailed || status === 'queued' || status === 'success' || status === 'running') return
  context.strokeStyle = status === 'failure' ? colors.node_bg : colors[status]
  context.lineWidth = 2 * line
  context.beginPath()
  for (const { x, y, w, h } of items) {
    if (status === 'cancelled') {
      context.moveTo(x + w / 5, y + h / 2)
      context.lineTo(x + (4 * w) / 5, y + h / 2)
      continue
    }
    context.moveTo(x + w / 2 - h / 3, y + (5 * h) / 6)
    context.lineTo(x + w / 2 + h / 3, y + h / 6)
    if (status === 'skipped') continue
    context.moveTo(x + w / 2 - h / 3, y + h / 6)
    context.lineTo(x + w / 2 + h / 3, y + (5 * h) / 6)
  }
  context.stroke()
}

export function edgeName(/** @type {Scene} */ scene, /** @type {Edge} */ edge) {
  const name = (/** @type {Item} */ item) => item.job?.id ?? item.name
  return `${name(scene.items[edge.from])}->${name(scene.items[edge.to])}`
}

// --- curves ---

/** @returns {[number, number, number, number, number, number]} control points and end of the curve from point i to the next */
function curve(/** @type {number[]} */ route, /** @type {number} */ i, /** @type {boolean} */ down) {
  const [x0, y0, x1, y1] = route.slice(i, i + 4)
  const along = down ? y1 - y0 : x1 - x0
  // One that leads back goes round what stands between, or would lie on it.
  const back = along < 0
  const reach = back ? Math.max(60, -along / 4) : along / 2
  const aside = back ? BEND : 0
  return down
    ? [x0 + aside, y0 + reach, x1 + aside, y1 - reach, x1, y1]
    : [x0 + reach, y0 + aside, x1 - reach, y1 + aside, x1, y1]
}

/** Along the flow, or right across it. */
function isLine(/** @type {number[]} */ route, /** @type {number} */ i, /** @type {boolean} */ down) {
  const [x0, y0, x1, y1] = route.slice(i, i + 4)
  return down ? y0 === y1 || (x0 === x1 && y1 > y0) : x0 === x1 || (y0 === y1 && x1 > x0)
}

function trace(/** @type {CanvasRenderingContext2D} */ context, /** @type {number[]} */ route, /** @type {boolean} */ down, /** @type {boolean} */ straight) {
  context.moveTo(route[0], route[1])
  for (let i = 0; i + 3 < route.length; i += 2) {
    if (straight || isLine(route, i, down)) {
      context.lineTo(route[i + 2], route[i + 3])
      continue
    }
    context.bezierCurveTo(...curve(route, i, down))
  }
}

/** left, top, right, bottom of a route, its bends included. @param {number[]} route */
export function boxOf(route) {
  const box = [Infinity, Infinity, -Infinity, -Infinity]
  const last = route.length - 2
  const room = route[last] > route[0] || route[last + 1] > route[1] ? 4 : BEND
  for (let i = 0; i < route.length; i += 2) {
    box[0] = Math.min(box[0], route[i] - room)
    box[1] = Math.min(box[1], route[i + 1] - room)
    box[2] = Math.max(box[2], route[i] + room)
    box[3] = Math.max(box[3], route[i + 1] + room)
  }
  return box
}

/** The edge within `reach` of a point of the graph. @param {Scene} scene @param {number} x @param {number} y @param {number} reach @param {boolean} down */
export function edgeAt(scene, x, y, reach, down) {
  let best = null
  let nearest = reach
  for (const edge of scene.edges) {
    const [left, top, right, bottom] = edge.box
    if (x < left - reach || x > right + reach || y < top - reach || y > bottom + reach) continue
    const { route } = edge
    for (let i = 0; i + 3 < route.length; i += 2) {
      const [ax, ay, bx, by, x1, y1] = curve(route, i, down)
      // A curve stays within its points.
      if (x < Math.min(route[i], ax, bx, x1) - reach || x > Math.max(route[i], ax, bx, x1) + reach) continue
      if (y < Math.min(route[i + 1], ay, by, y1) - reach || y > Math.max(route[i + 1], ay, by, y1) + reach) continue
      let [px, py] = [route[i], route[i + 1]]
      for (let step = 1; step <= 24; step++) {
        const t = step / 24
        const u = 1 - t
        const qx = u * u * u * route[i] + 3 * u * u * t * ax + 3 * u * t * t * bx + t * t * t * x1
        const qy = u * u * u * route[i + 1] + 3 * u * u * t * ay + 3 * u * t * t * by + t * t * t * y1
        const distance = toSegment(x, y, px, py, qx, qy)
        if (distance < nearest) {
          nearest = distance
          best = edge
        }
        px = qx
        py = qy
      }
    }
  }
  return best
}

function toSegment(/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ ax, /** @type {number} */ ay, /** @type {number} */ bx, /** @type {number} */ by) {
  const [dx, dy] = [bx - ax, by - ay]
  const length = dx * dx + dy * dy
  const t = length ? Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / length)) : 0
  return Math.hypot(x - ax - t * dx, y - ay - t * dy)
}
