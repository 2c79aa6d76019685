// Layered layout (Sugiyama): cycles broken, longest-path layers, barycentres, Brandes and Köpf's coordinates.
// Linear, or nearly, in jobs and edges. Everything here flows left to right; layout() turns it at the end.

/**
 * @typedef {{w: number, h: number, cluster: number}} Box cluster: an index into clusters, or -1
 * @typedef {{start: number, end: number, before: number, after: number}} Padding along the flow, and across it
 * @typedef {object} Problem
 * @property {Box[]} nodes
 * @property {[number, number][]} edges from, to: indices into nodes
 * @property {number} clusters how many there are; one is drawn as a frame round its nodes
 * @property {boolean} down top to bottom
 * @property {number} flowGap between layers
 * @property {number} crossGap between neighbours of a layer
 * @property {number} frame the padding of a cluster
 * @property {number} title and what its title takes on top
 *
 * @typedef {{x: number, y: number, w: number, h: number}} Rect
 * @typedef {object} Solution
 * @property {Rect[]} nodes
 * @property {Rect[]} clusters
 * @property {number[][]} routes of each edge, flat: x, y, x, y, …
 * @property {number} width
 * @property {number} height
 *
 * @typedef {object} Placed units of one scope, from its own origin
 * @property {Float64Array} x
 * @property {Float64Array} y
 * @property {number} w
 * @property {number} h
 * @property {number[][]} vias of each edge, flat: the points between its ends
 * @property {Map<number, number[]>} enter of a unit in a bank: the points before it
 * @property {Map<number, number[]>} leave
 * @property {Map<number, number[]>} entry the same for edges from outside the scope
 * @property {Map<number, number[]>} exit
 */

// Jobs with the same parents and the same children, from this many on, stand in a grid instead of one long row.
const BANK = 24
const BANK_GAP = 40
const DUMMY_GAP = 10
const MOST_DUMMIES = 40000

/** @param {Problem} problem @returns {Solution} */
export function layout(problem) {
  const { edges, down } = problem
  const sizes = problem.nodes.map(({ w, h }) => (down ? { w: h, h: w } : { w, h }))
  const gaps = { flow: problem.flowGap, cross: problem.crossGap }
  const padding = down
    ? { start: problem.frame + problem.title, end: problem.frame, before: problem.frame, after: problem.frame }
    : { start: problem.frame, end: problem.frame, before: problem.frame + problem.title, after: problem.frame }

  // Units of the whole: nodes of no cluster, and clusters. scope -1 is the whole.
  /** @type {number[][]} */
  const members = Array.from({ length: problem.clusters }, () => [])
  problem.nodes.forEach((node, i) => node.cluster >= 0 && members[node.cluster].push(i))
  const scopeOf = problem.nodes.map((node) => node.cluster)

  /** @type {Map<number, number>[]} node to unit, by scope + 1 */
  const unitOf = [new Map(), ...members.map((list) => new Map(list.map((node, unit) => [node, unit])))]
  const inner = members.map((list, cluster) => {
    const mine = edges.filter(([a, b]) => scopeOf[a] === cluster && scopeOf[b] === cluster)
    const pairs = mine.map(([a, b]) => /** @type {[number, number]} */ ([unitOf[cluster + 1].get(a), unitOf[cluster + 1].get(b)]))
    const inward = new Set(edges.flatMap(([a, b]) => (scopeOf[b] === cluster && scopeOf[a] !== cluster ? [unitOf[cluster + 1].get(b)] : [])))
    const outward = new Set(edges.flatMap(([a, b]) => (scopeOf[a] === cluster && scopeOf[b] !== cluster ? [unitOf[cluster + 1].get(a)] : [])))
    return placeOpen(list.map((node) => sizes[node]), pairs, gaps, inward, outward)
  })

  const outerSizes = inner.map((placed) => ({
    w: placed.w + padding.start + padding.end,
    h: placed.h + padding.before + padding.after,
  }))
  scopeOf.forEach((cluster, node) => {
    unitOf[0].set(node, cluster >= 0 ? cluster : outerSizes.length)
    if (cluster < 0) outerSizes.push(sizes[node])
  })
  const outerUnit = (/** @type {number} */ node) => /** @type {number} */ (unitOf[0].get(node))
  const outerPairs = edges
    .filter(([a, b]) => outerUnit(a) !== outerUnit(b))
    .map(([a, b]) => /** @type {[number, number]} */ ([outerUnit(a), outerUnit(b)]))
  // A cluster is no twin of anything.
  const outer = place(outerSizes, outerPairs, gaps, problem.clusters)

  // --- from scopes to the plane ---

  const clusters = inner.map((_, i) => ({ x: outer.x[i], y: outer.y[i], ...outerSizes[i] }))
  const origin = (/** @type {number} */ cluster) =>
    cluster < 0
      ? { x: 0, y: 0 }
      : { x: clusters[cluster].x + padding.start, y: clusters[cluster].y + padding.before }
  const scope = (/** @type {number} */ node) => (scopeOf[node] < 0 ? outer : inner[scopeOf[node]])
  const unit = (/** @type {number} */ node) => /** @type {number} */ (unitOf[scopeOf[node] + 1].get(node))

  const nodes = sizes.map((size, node) => {
    const at = origin(scopeOf[node])
    const placed = scope(node)
    return { x: at.x + placed.x[unit(node)], y: at.y + placed.y[unit(node)], ...size }
  })

  const nextVia = new Map([[outer, 0], ...inner.map((placed) => /** @type {[Placed, number]} */ ([placed, 0]))])
  const routes = edges.map(([a, b]) => {
    const same = outerUnit(a) === outerUnit(b)
    const placed = same ? scope(a) : outer
    const index = nextVia.get(placed) ?? 0
    nextVia.set(placed, index + 1)
    const at = same ? origin(scopeOf[a]) : origin(-1)
    return [
      nodes[a].x + nodes[a].w,
      nodes[a].y + nodes[a].h / 2,
      ...moved((same ? scope(a).leave : scope(a).exit).get(unit(a)) ?? [], origin(scopeOf[a])),
      ...moved(placed.vias[index], at),
      ...moved((same ? scope(b).enter : scope(b).entry).get(unit(b)) ?? [], origin(scopeOf[b])),
      nodes[b].x,
      nodes[b].y + nodes[b].h / 2,
    ]
  })

  const solution = { nodes, clusters, routes, width: outer.w, height: outer.h }
  return down ? turned(solution) : solution
}

/** @param {number[]} points @param {{x: number, y: number}} by */
function moved(points, by) {
  return points.map((value, i) => value + (i % 2 ? by.y : by.x))
}

/** @param {Solution} solution @returns {Solution} */
function turned(solution) {
  const rect = (/** @type {Rect} */ { x, y, w, h }) => ({ x: y, y: x, w: h, h: w })
  return {
    nodes: solution.nodes.map(rect),
    clusters: solution.clusters.map(rect),
    routes: solution.routes.map((points) => points.map((_, i) => points[i ^ 1])),
    width: solution.height,
    height: solution.width,
  }
}

/**
 * A scope with edges to the outside: these keep clear of its other units as if they came from one unit before all of
 * them, and went to one behind.
 * @param {{w: number, h: number}[]} sizes
 * @param {[number, number][]} pairs
 * @param {{flow: number, cross: number}} gaps
 * @param {Set<number | undefined>} inward units
 * @param {Set<number | undefined>} outward
 * @returns {Placed}
 */
function placeOpen(sizes, pairs, gaps, inward, outward) {
  const n = sizes.length
  const hasParent = new Set(pairs.map(([, b]) => b))
  const hasChild = new Set(pairs.map(([a]) => a))
  /** @type {[number, number][]} */
  const outer = []
  for (let unit = 0; unit < n; unit++) {
    if (!hasParent.has(unit) || inward.has(unit)) outer.push([n, unit])
    if (!hasChild.has(unit) || outward.has(unit)) outer.push([unit, n + 1])
  }
  const placed = place([...sizes, { w: 0, h: 0 }, { w: 0, h: 0 }], [...pairs, ...outer], gaps)
  const back = { x: -gaps.flow, y: 0 }
  const vias = placed.vias.map((via) => moved(via, back))
  const shifted = (/** @type {Map<number, number[]>} */ points) => new Map([...points].map(([unit, list]) => [unit, moved(list, back)]))
  const enter = shifted(placed.enter)
  const leave = shifted(placed.leave)
  const entry = new Map(enter)
  const exit = new Map(leave)
  outer.forEach(([a, b], i) => {
    const via = vias[pairs.length + i]
    if (a === n) entry.set(b, [...via, ...(enter.get(b) ?? [])])
    else exit.set(a, [...(leave.get(a) ?? []), ...via])
  })
  return { ...placed, x: placed.x.map((x) => x - gaps.flow), w: placed.w - 2 * gaps.flow, vias, enter, leave, entry, exit }
}

// --- one scope: twins into banks, then layers ---

/**
 * @param {{w: number, h: number}[]} sizes
 * @param {[number, number][]} pairs
 * @param {{flow: number, cross: number}} gaps
 * @param {number} [plainFrom] units before this one are in no bank
 * @returns {Placed}
 */
function place(sizes, pairs, gaps, plainFrom = 0) {
  const n = sizes.length
  const banks = findBanks(sizes, pairs, plainFrom)
  const slot = new Int32Array(n).fill(-1)
  /** @type {{w: number, h: number}[]} */
  const slots = []
  const grids = banks.map((list) => {
    const grid = gridOf(list, sizes, gaps)
    for (const unit of list) slot[unit] = slots.length
    slots.push(grid)
    return grid
  })
  for (let unit = 0; unit < n; unit++) {
    if (slot[unit] >= 0) continue
    slot[unit] = slots.length
    slots.push(sizes[unit])
  }

  // Definition order decides what comes first: slots are numbered by their first unit.
  const first = new Array(slots.length).fill(n)
  for (let unit = n - 1; unit >= 0; unit--) first[slot[unit]] = unit
  const ranked = slots.map((_, i) => i).sort((a, b) => first[a] - first[b])
  const rank = new Int32Array(slots.length)
  ranked.forEach((old, now) => (rank[old] = now))

  /** @type {Map<number, number>} */
  const known = new Map()
  /** @type {[number, number][]} */
  const links = []
  const linkOf = pairs.map(([a, b]) => {
    const key = rank[slot[a]] * slots.length + rank[slot[b]]
    let link = known.get(key)
    if (link === undefined) {
      link = links.length
      known.set(key, link)
      links.push([rank[slot[a]], rank[slot[b]]])
    }
    return link
  })
  const result = layered(ranked.map((old) => slots[old]), links, gaps)

  const x = new Float64Array(n)
  const y = new Float64Array(n)
  for (let unit = 0; unit < n; unit++) {
    x[unit] = result.x[rank[slot[unit]]]
    y[unit] = result.y[rank[slot[unit]]]
  }
  const enter = new Map()
  const leave = new Map()
  banks.forEach((list, i) => {
    const { columns, cellW, cellH, w } = grids[i]
    list.forEach((unit, at) => {
      const column = at % columns
      const row = Math.floor(at / columns)
      const left = x[unit]
      const top = y[unit]
      x[unit] = left + column * (cellW + BANK_GAP)
      y[unit] = top + row * (cellH + gaps.cross)
      // Edges of what is not at the side run between the rows: they come above a row, and leave below it.
      const above = y[unit] - gaps.cross / 3
      const below = y[unit] + cellH + gaps.cross / 3
      if (column > 0) enter.set(unit, [left, above, x[unit] - BANK_GAP / 2, above])
      if (column < columns - 1) leave.set(unit, [x[unit] + cellW + BANK_GAP / 2, below, left + w, below])
    })
  })
  const vias = linkOf.map((link) => result.vias[link])
  return { x, y, w: result.w, h: result.h, vias, enter, leave, entry: enter, exit: leave }
}

/** Sets of units that have the same parents and the same children. @returns {number[][]} */
function findBanks(/** @type {{w: number, h: number}[]} */ sizes, /** @type {[number, number][]} */ pairs, /** @type {number} */ plainFrom) {
  const n = sizes.length
  if (n - plainFrom < BANK) return []
  /** @type {number[][]} */
  const up = Array.from({ length: n }, () => [])
  /** @type {number[][]} */
  const down = Array.from({ length: n }, () => [])
  for (const [a, b] of pairs) {
    down[a].push(b)
    up[b].push(a)
  }
  /** @type {Map<string, number[]>} */
  const twins = new Map()
  for (let unit = plainFrom; unit < n; unit++) {
    const key = `${[...new Set(up[unit])].sort().join()}>${[...new Set(down[unit])].sort().join()}`
    const list = twins.get(key)
    if (list) list.push(unit)
    else twins.set(key, [unit])
  }
  return [...twins.values()].filter((list) => list.length >= BANK)
}

/** A grid about as wide as it is high. */
function gridOf(/** @type {number[]} */ list, /** @type {{w: number, h: number}[]} */ sizes, /** @type {{flow: number, cross: number}} */ gaps) {
  const cellW = Math.max(...list.map((unit) => sizes[unit].w))
  const cellH = Math.max(...list.map((unit) => sizes[unit].h))
  const ideal = Math.sqrt((list.length * (cellH + gaps.cross)) / (cellW + BANK_GAP))
  const columns = Math.max(1, Math.round(ideal * 1.2))
  const rows = Math.ceil(list.length / columns)
  return {
    columns,
    cellW,
    cellH,
    w: columns * cellW + (columns - 1) * BANK_GAP,
    h: rows * cellH + (rows - 1) * gaps.cross,
  }
}

/**
 * @param {{w: number, h: number}[]} sizes
 * @param {[number, number][]} links no two alike
 * @param {{flow: number, cross: number}} gaps
 */
function layered(sizes, links, gaps) {
  const n = sizes.length
  if (n === 0) return { x: [], y: [], w: 0, h: 0, vias: /** @type {number[][]} */ ([]) }
  const flipped = backLinks(n, links)
  const straight = links.map(([a, b], i) => /** @type {[number, number]} */ (flipped[i] ? [b, a] : [a, b]))
  const layerOf = longestPaths(n, straight)
  const graph = withDummies(n, straight, layerOf)
  const layers = sortLayers(graph)
  const size = new Float64Array(graph.count)
  sizes.forEach((s, i) => (size[i] = s.h))
  const centre = coordinates(graph, layers, size, gaps.cross)

  const widest = new Float64Array(layers.length)
  sizes.forEach((s, i) => (widest[layerOf[i]] = Math.max(widest[layerOf[i]], s.w)))
  const left = new Float64Array(layers.length)
  for (let i = 1; i < layers.length; i++) left[i] = left[i - 1] + widest[i - 1] + gaps.flow
  const w = left[layers.length - 1] + widest[layers.length - 1]

  let top = Infinity
  let bottom = -Infinity
  for (let v = 0; v < graph.count; v++) {
    top = Math.min(top, centre[v] - size[v] / 2)
    bottom = Math.max(bottom, centre[v] + size[v] / 2)
  }
  const vias = graph.chains.map((chain, i) => {
    const points = chain.flatMap((dummy) => {
      const layer = graph.layerOf[dummy]
      return [left[layer], centre[dummy] - top, left[layer] + widest[layer], centre[dummy] - top]
    })
    if (!flipped[i]) return points
    const back = []
    for (let p = points.length - 2; p >= 0; p -= 2) back.push(points[p], points[p + 1])
    return back
  })
  return {
    x: sizes.map((s, i) => left[layerOf[i]] + (widest[layerOf[i]] - s.w) / 2),
    y: sizes.map((s, i) => centre[i] - s.h / 2 - top),
    w,
    h: bottom - top,
    vias,
  }
}

/** Which links close a cycle (collapsed groups make them). @returns {boolean[]} */
function backLinks(/** @type {number} */ n, /** @type {[number, number][]} */ links) {
  const out = outLinks(n, links)
  const flipped = new Array(links.length).fill(false)
  const state = new Uint8Array(n)
  for (let start = 0; start < n; start++) {
    if (state[start]) continue
    const stack = [[start, 0]]
    state[start] = 1
    while (stack.length) {
      const top = stack[stack.length - 1]
      const [v, next] = top
      if (next === out[v].length) {
        state[v] = 2
        stack.pop()
        continue
      }
      top[1]++
      const link = out[v][next]
      const target = links[link][1]
      if (state[target] === 1) flipped[link] = true
      else if (state[target] === 0) {
        state[target] = 1
        stack.push([target, 0])
      }
    }
  }
  return flipped
}

/** @returns {number[][]} indices of links by where they start */
function outLinks(/** @type {number} */ n, /** @type {[number, number][]} */ links) {
  /** @type {number[][]} */
  const out = Array.from({ length: n }, () => [])
  links.forEach(([a], i) => out[a].push(i))
  return out
}

/** Layer 0 needs nothing, else one more than the highest parent. */
function longestPaths(/** @type {number} */ n, /** @type {[number, number][]} */ links) {
  const out = outLinks(n, links)
  const open = new Int32Array(n)
  for (const [, b] of links) open[b]++
  const layerOf = new Int32Array(n)
  /** @type {number[]} */
  const ready = []
  for (let v = 0; v < n; v++) if (!open[v]) ready.push(v)
  for (let i = 0; i < ready.length; i++) {
    for (const link of out[ready[i]]) {
      const [, b] = links[link]
      layerOf[b] = Math.max(layerOf[b], layerOf[ready[i]] + 1)
      if (!--open[b]) ready.push(b)
    }
  }
  return layerOf
}

/**
 * @typedef {object} Layered
 * @property {number} real how many vertices are units; the others are dummies
 * @property {number} count
 * @property {number[]} layerOf
 * @property {number[][]} up
 * @property {number[][]} down
 * @property {number[][]} chains of each link: the dummies it goes through
 */

/** Long links of one start share a chain of dummies: fewer of them, and a bundle is easier to follow. @returns {Layered} */
function withDummies(/** @type {number} */ n, /** @type {[number, number][]} */ links, /** @type {Int32Array} */ layers) {
  const layerOf = Array.from(layers)
  /** @type {number[][]} */
  const up = Array.from({ length: n }, () => [])
  /** @type {number[][]} */
  const down = Array.from({ length: n }, () => [])
  /** @type {number[][]} */
  const chainOf = Array.from({ length: n }, () => [])
  const connect = (/** @type {number} */ a, /** @type {number} */ b) => {
    down[a].push(b)
    up[b].push(a)
  }
  const chains = links.map(([a, b]) => {
    const long = layerOf[b] - layerOf[a] - 1
    const chain = chainOf[a]
    // Past the limit a long link is drawn straight.
    if (long > chain.length && layerOf.length - n + long > MOST_DUMMIES) return []
    while (chain.length < long) {
      const dummy = layerOf.length
      layerOf.push(layerOf[a] + chain.length + 1)
      up.push([])
      down.push([])
      connect(chain.length ? chain[chain.length - 1] : a, dummy)
      chain.push(dummy)
    }
    connect(long ? chain[long - 1] : a, b)
    return chain.slice(0, long)
  })
  return { real: n, count: layerOf.length, layerOf, up, down, chains }
}

/** The order within each layer: that of the file, then barycentres from both sides while it helps. @returns {number[][]} */
function sortLayers(/** @type {Layered} */ graph) {
  const { count, layerOf, up, down } = graph
  /** @type {number[][]} */
  let layers = []
  const seen = new Uint8Array(count)
  for (let start = 0; start < graph.real; start++) {
    if (up[start].length) continue
    const stack = [start]
    while (stack.length) {
      const v = /** @type {number} */ (stack.pop())
      if (seen[v]) continue
      seen[v] = 1
      while (layers.length <= layerOf[v]) layers.push([])
      layers[layerOf[v]].push(v)
      for (let i = down[v].length - 1; i >= 0; i--) stack.push(down[v][i])
    }
  }

  const position = new Float64Array(count)
  const key = new Float64Array(count)
  const number = (/** @type {number[]} */ layer) => layer.forEach((v, i) => (position[v] = i))
  layers.forEach(number)
  let best = layers.map((layer) => layer.slice())
  let fewest = crossings(layers, down, position)
  const rounds = count > 4000 ? 8 : 24
  for (let round = 0, idle = 0; round < rounds && fewest > 0 && idle < 4; round++) {
    const beside = round % 2 ? down : up
    const sweep = round % 2 ? layers.slice().reverse() : layers
    for (const layer of sweep) {
      for (const v of layer) {
        let sum = 0
        for (const other of beside[v]) sum += position[other]
        key[v] = beside[v].length ? sum / beside[v].length : position[v]
      }
      layer.sort((a, b) => key[a] - key[b])
      number(layer)
    }
    const now = crossings(layers, down, position)
    if (now < fewest) {
      fewest = now
      best = layers.map((layer) => layer.slice())
      idle = 0
    } else idle++
  }
  best.forEach(number)
  const byPosition = (/** @type {number} */ a, /** @type {number} */ b) => position[a] - position[b]
  for (let v = 0; v < count; v++) {
    up[v].sort(byPosition)
    down[v].sort(byPosition)
  }
  return best
}

/** Inversions, counted with a Fenwick tree. */
function crossings(/** @type {number[][]} */ layers, /** @type {number[][]} */ down, /** @type {Float64Array} */ position) {
  let total = 0
  for (let i = 0; i + 1 < layers.length; i++) {
    const width = layers[i + 1].length
    const tree = new Int32Array(width + 1)
    let before = 0
    for (const v of layers[i]) {
      const ends = down[v].map((other) => position[other])
      for (const end of ends) {
        let smaller = 0
        for (let k = end + 1; k > 0; k -= k & -k) smaller += tree[k]
        total += before - smaller
      }
      for (const end of ends) for (let k = end + 1; k <= width; k += k & -k) tree[k]++
      before += ends.length
    }
  }
  return total
}

// --- Brandes and Köpf, "Fast and simple horizontal coordinate assignment", 2001 ---

/** The centre of each vertex across the flow. */
function coordinates(/** @type {Layered} */ graph, /** @type {number[][]} */ layers, /** @type {Float64Array} */ size, /** @type {number} */ gap) {
  const refused = conflicts(graph, layers)
  const runs = []
  for (const fromAbove of [true, false]) {
    for (const mirrored of [false, true]) {
      let rows = fromAbove ? layers : layers.slice().reverse()
      if (mirrored) rows = rows.map((layer) => layer.slice().reverse())
      const beside = fromAbove ? graph.up : graph.down
      const at = compact(graph, rows, align(graph, rows, beside, mirrored, refused), size, gap)
      if (mirrored) for (let v = 0; v < at.length; v++) at[v] = -at[v]
      runs.push({ at, mirrored, ...extent(at, size) })
    }
  }
  const narrowest = runs.reduce((a, b) => (b.high - b.low < a.high - a.low ? b : a))
  for (const run of runs) {
    const shift = run.mirrored ? narrowest.high - run.high : narrowest.low - run.low
    if (run !== narrowest) for (let v = 0; v < run.at.length; v++) run.at[v] += shift
  }
  const centre = new Float64Array(graph.count)
  for (let v = 0; v < graph.count; v++) {
    const four = runs.map((run) => run.at[v]).sort((a, b) => a - b)
    centre[v] = (four[1] + four[2]) / 2
  }
  return centre
}

function extent(/** @type {Float64Array} */ at, /** @type {Float64Array} */ size) {
  let low = Infinity
  let high = -Infinity
  for (let v = 0; v < at.length; v++) {
    low = Math.min(low, at[v] - size[v] / 2)
    high = Math.max(high, at[v] + size[v] / 2)
  }
  return { low, high }
}

/** Links that cross a long one may not pull it out of its line. @returns {Set<number>} a * count + b, a above b */
function conflicts(/** @type {Layered} */ graph, /** @type {number[][]} */ layers) {
  const { real, count, up } = graph
  const position = new Int32Array(count)
  for (const layer of layers) layer.forEach((v, i) => (position[v] = i))
  const refused = new Set()
  for (let i = 1; i < layers.length; i++) {
    let low = 0
    let scanned = 0
    layers[i].forEach((v, at) => {
      const inner = v >= real && up[v].length === 1 && up[v][0] >= real ? up[v][0] : -1
      if (inner < 0 && at < layers[i].length - 1) return
      const high = inner < 0 ? layers[i - 1].length - 1 : position[inner]
      for (; scanned <= at; scanned++) {
        const lower = layers[i][scanned]
        for (const upper of up[lower]) {
          const isInner = upper >= real && lower >= real
          if (!isInner && (position[upper] < low || position[upper] > high)) refused.add(upper * count + lower)
        }
      }
      low = high
    })
  }
  return refused
}

/** Blocks of vertices in one line. @returns {Int32Array} the root of each vertex */
function align(/** @type {Layered} */ graph, /** @type {number[][]} */ rows, /** @type {number[][]} */ beside, /** @type {boolean} */ mirrored, /** @type {Set<number>} */ refused) {
  const { count } = graph
  const root = new Int32Array(count)
  const next = new Int32Array(count)
  const position = new Int32Array(count)
  for (let v = 0; v < count; v++) root[v] = next[v] = v
  for (const row of rows) row.forEach((v, i) => (position[v] = i))
  for (const row of rows) {
    let last = -1
    for (const v of row) {
      const others = beside[v]
      if (!others.length) continue
      const middle = (others.length - 1) / 2
      const picks = mirrored ? [Math.ceil(middle), Math.floor(middle)] : [Math.floor(middle), Math.ceil(middle)]
      for (const pick of picks) {
        const w = others[pick]
        if (next[v] !== v || last >= position[w]) continue
        if (refused.has(w * count + v) || refused.has(v * count + w)) continue
        next[w] = v
        root[v] = root[w]
        next[v] = root[v]
        last = position[w]
      }
    }
  }
  return root
}

/** Blocks as close as their neighbours let them be, first from one side, then back from the other. */
function compact(/** @type {Layered} */ graph, /** @type {number[][]} */ rows, /** @type {Int32Array} */ root, /** @type {Float64Array} */ size, /** @type {number} */ gap) {
  const { count, real } = graph
  /** @type {number[][]} */
  const after = Array.from({ length: count }, () => [])
  /** @type {number[][]} */
  const apart = Array.from({ length: count }, () => [])
  const open = new Int32Array(count)
  for (const row of rows) {
    for (let i = 1; i < row.length; i++) {
      const [u, v] = [row[i - 1], row[i]]
      after[root[u]].push(root[v])
      apart[root[u]].push((size[u] + size[v]) / 2 + (u < real && v < real ? gap : Math.min(gap, DUMMY_GAP)))
      open[root[v]]++
    }
  }
  const at = new Float64Array(count)
  const order = []
  for (let v = 0; v < count; v++) if (root[v] === v && !open[v]) order.push(v)
  for (let i = 0; i < order.length; i++) {
    const block = order[i]
    after[block].forEach((other, k) => {
      at[other] = Math.max(at[other], at[block] + apart[block][k])
      if (!--open[other]) order.push(other)
    })
  }
  for (let i = order.length - 1; i >= 0; i--) {
    const block = order[i]
    let room = Infinity
    after[block].forEach((other, k) => (room = Math.min(room, at[other] - apart[block][k])))
    if (room < Infinity) at[block] = Math.max(at[block], room)
  }
  for (let v = 0; v < count; v++) at[v] = at[root[v]]
  return at
}
