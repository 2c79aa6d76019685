// The whole graph in a corner, and what of it is in sight. A click or a drag goes there.

import { statusOf } from './model.js'

export class Minimap {
  #base = document.createElement('canvas')
  #scale = 1
  #left = 0
  #top = 0

  /** @param {HTMLCanvasElement} canvas @param {(x: number, y: number) => void} go to a point of the graph */
  constructor(canvas, go) {
    this.canvas = canvas
    const follow = (/** @type {PointerEvent} */ event) => {
      const box = canvas.getBoundingClientRect()
      go((event.clientX - box.left - this.#left) / this.#scale, (event.clientY - box.top - this.#top) / this.#scale)
    }
    canvas.addEventListener('pointerdown', (event) => {
      event.stopPropagation()
      canvas.setPointerCapture(event.pointerId)
      follow(event)
    })
    canvas.addEventListener('pointermove', (event) => canvas.hasPointerCapture(event.pointerId) && follow(event))
  }

  /** The jobs. @param {import('./model.js').Scene} scene @param {{w: number, h: number}} bounds @param {Record<string, string>} colors */
  draw(scene, bounds, colors) {
    const ratio = Math.min(2, devicePixelRatio || 1)
    const { clientWidth: width, clientHeight: height } = this.canvas
    for (const canvas of [this.#base, this.canvas]) {
      canvas.width = Math.round(width * ratio)
      canvas.height = Math.round(height * ratio)
    }
    this.#scale = Math.min((width - 12) / (bounds.w || 1), (height - 12) / (bounds.h || 1))
    this.#left = (width - bounds.w * this.#scale) / 2
    this.#top = (height - bounds.h * this.#scale) / 2
    const context = /** @type {CanvasRenderingContext2D} */ (this.#base.getContext('2d'))
    context.setTransform(ratio, 0, 0, ratio, this.#left * ratio, this.#top * ratio)
    for (const item of scene.items) {
      if (item.kind === 'frame') continue
      context.fillStyle = colors[statusOf(item)]
      context.globalAlpha = ['queued', 'skipped', 'cancelled'].includes(statusOf(item)) ? 0.45 : 1
      const [w, h] = [Math.max(1, item.w * this.#scale), Math.max(1, item.h * this.#scale)]
      context.fillRect(item.x * this.#scale, item.y * this.#scale, w, h)
    }
  }

  /** The frame round what is in sight. @param {import('./view.js').View} view @param {Record<string, string>} colors */
  show(view, colors) {
    const ratio = Math.min(2, devicePixelRatio || 1)
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d'))
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.clearRect(0, 0, this.canvas.width, this.canvas.height)
    context.drawImage(this.#base, 0, 0)
    context.setTransform(ratio, 0, 0, ratio, this.#left * ratio, this.#top * ratio)
    const { left, top, right, bottom } = view.rect()
    context.strokeStyle = colors.highlight
    context.lineWidth = 1.5
    context.strokeRect(left * this.#scale, top * this.#scale, (right - left) * this.#scale, (bottom - top) * this.#scale)
  }
}
