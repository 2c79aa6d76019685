// Which item an arrow key leads to. Along the flow: edges first, else whatever lies that way. Across it: the next item of
// the column, and from its end on to the next column, so that every item is reached by one key alone.

/**
 * @typedef {import('./model.js').Scene} Scene
 * @typedef {'forward' | 'back' | 'next' | 'previous'} Move
 */

/** @param {string} key @param {boolean} down top to bottom @returns {Move | null} */
export function moveOf(key, down) {
  if (key === 'ArrowRight') return down ? 'next' : 'forward'
  if (key === 'ArrowLeft') return down ? 'previous' : 'back'
  if (key === 'ArrowDown') return down ? 'forward' : 'next'
  if (key === 'ArrowUp') return down ? 'back' : 'previous'
  return null
}

/** All items, column by column. @param {Scene} scene @param {boolean} down @returns {number[]} */
export function readingOrder(scene, down) {
  const flow = (/** @type {number} */ i) => (down ? scene.items[i].y : scene.items[i].x)
  const cross = (/** @type {number} */ i) => (down ? scene.items[i].x : scene.items[i].y)
  return scene.items.map((_, i) => i).sort((a, b) => flow(a) - flow(b) || cross(a) - cross(b))
}

/** @param {Scene} scene @param {number[]} order @param {boolean} down @param {number} from @param {Move} move @returns {number} */
export function target(scene, order, down, from, move) {
  const at = order.indexOf(from)
  if (move === 'next') return order[Math.min(order.length - 1, at + 1)]
  if (move === 'previous') return order[Math.max(0, at - 1)]

  const { items } = scene
  const centre = (/** @type {number} */ i) => (down ? items[i].x + items[i].w / 2 : items[i].y + items[i].h / 2)
  const flow = (/** @type {number} */ i) => (down ? items[i].y : items[i].x)
  const nearest = (/** @type {number[]} */ list) =>
    list.reduce((best, i) => (Math.abs(centre(i) - centre(from)) < Math.abs(centre(best) - centre(from)) ? i : best))

  const linked = (move === 'forward' ? scene.children : scene.parents)[from]
  if (linked.length) return nearest(linked)
  const beyond = order.filter((i) => (move === 'forward' ? flow(i) > flow(from) : flow(i) < flow(from)))
  if (!beyond.length) return from
  const edge = move === 'forward' ? flow(beyond[0]) : flow(beyond[beyond.length - 1])
  return nearest(beyond.filter((i) => flow(i) === edge))
}

/** The next item after `from` whose name begins so. @param {Scene} scene @param {number[]} order @param {number} from @param {string} typed @returns {number} */
export function named(scene, order, from, typed) {
  const at = order.indexOf(from)
  const wanted = typed.toLocaleLowerCase()
  // While one goes on typing, the item found so far may stay.
  const start = [...typed].length > 1 ? at : at + 1
  for (let i = 0; i < order.length; i++) {
    const item = order[(start + i) % order.length]
    if (scene.items[item].name.toLocaleLowerCase().startsWith(wanted)) return item
  }
  return from
}
