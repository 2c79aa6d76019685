// <wfg-graph>: what is asked of it, and what it tells. The parts are in the files beside this one.

import { Announcer } from './announcer.js'
import { Gestures } from './gestures.js'
import { moveOf, named, readingOrder, target } from './keyboard.js'
import { mergeLabels } from './labels.js'
import { Layouter } from './layouter.js'
import { Minimap } from './minimap.js'
import { applyState, groupKey, jobKey, pathOf, readWorkflow, sameShape, sceneOf } from './model.js'
import { Nodes, fillNode, fillTime } from './nodes.js'
import { Painter, boxOf, edgeAt } from './painter.js'
import { nameParts, shell } from './shell.js'
import { applyTheme, mergeTheme, readColors, readDirection } from './theme.js'
import { View } from './view.js'

const EDGE_REACH_PX = 6
const SETTLE_MS = 140
const SMOOTH_MS = 7 // a picture that takes longer is not painted anew in every frame
const REPAINT_MS = 120
const CULL_MARGIN_PX = 160
const FAR_PX = 110 // of the margins
const MOST_TURNING = 16 // more would keep the machine busy, and help nobody
const MINIMAP_FROM = 40
const TITLE_PX = 26
const FRAME_PX = 14
const TYPED_MS = 700
// Where names can no longer be read, more jobs than this are painted instead of being elements.
const MOST_SMALL = 300
const MOST_NODES = 1500
const READABLE = 0.55

const PROPERTIES = /** @type {const} */ (['workflow', 'theme', 'labels', 'direction', 'scheme', 'clock', 'collapsedGroups'])
const WISHES = ['(prefers-color-scheme: dark)', '(prefers-contrast: more)', '(forced-colors: active)']

/** @typedef {import('./model.js').Scene} Scene */

export class WfgGraph extends HTMLElement {
  static observedAttributes = ['direction', 'scheme', 'minimap', 'controls']

  #parts = shell(this.attachShadow({ mode: 'open' }))
  #view = new View()
  #painter = new Painter(this.#parts.paint)
  #nodes = new Nodes(this.#parts.layer)
  #minimap = new Minimap(this.#parts.minimap, (x, y) => this.#goTo(x, y))
  #layouter = new Layouter()
  #theme = mergeTheme(null)
  /** @type {unknown} */
  #givenTheme = null
  /** @type {unknown} */
  #givenLabels = null
  #labels = mergeLabels()
  #announcer = new Announcer(this.#parts.live, this.#labels)
  /** @type {unknown} */
  #given = null
  #workflow = readWorkflow(null)
  /** @type {Set<string>} */
  #collapsed = new Set()
  /** @type {Scene} */
  #scene = sceneOf(this.#workflow, this.#collapsed)
  /** @type {number[]} */
  #order = []
  /** @type {number[]} the place of each item in #order */
  #rank = []
  /** @type {Record<string, string>} */
  #colors = {}

  /** @type {Set<string>} */
  #selected = new Set()
  #hovered = -1
  #focused = -1
  /** @type {Set<number>} */
  #lit = new Set()
  #fitted = true
  #overview = false
  #culled = { x: 0, y: 0, zoom: NaN }
  #moving = false
  #frame = 0
  #stale = true
  #minimapStale = true
  #typed = { text: '', at: -Infinity }
  /** @type {(() => void)[]} */
  #waiting = []
  #pending = 0

  /** @type {AbortController | null} */
  #connection = null
  /** @type {ResizeObserver | null} */
  #resized = null
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settling

  /** Epoch milliseconds: a page that knows the server's clock better than its own sets it. @type {() => number} */
  clock = Date.now

  // --- what it is asked ---

  /** The JSON of a run, of a workflow's status, or {jobs: [{id, name, needs, status, group}]}. */
  get workflow() {
    return this.#given
  }

  set workflow(value) {
    const workflow = readWorkflow(value)
    const same = sameShape(this.#workflow, workflow)
    if (workflow.id !== this.#workflow.id) {
      this.#announcer.forget()
      // Another graph is seen whole first; another run of the same one, where one was looking.
      this.#fitted ||= !same
    } else {
      for (const job of workflow.jobs.values()) {
        const before = this.#workflow.jobs.get(job.id)
        if (before && before.status !== job.status) this.#announcer.changed(job)
      }
    }
    this.#given = value
    this.#workflow = workflow
    for (const name of workflow.collapsed) this.#collapsed.add(name)
    const kept = [...this.#selected].filter((id) => workflow.jobs.has(id))
    const lost = kept.length < this.#selected.size
    this.#selected = new Set(kept)
    this.#rebuild(same)
    if (lost) this.#tellSelection()
  }

  /**
   * A job's status, and whatever else its JSON says (started_at_ms, finished_at_ms, attempt, …). Nothing moves.
   * @param {any} idOrWorkflow a job's id; or a whole workflow, which is set
   * @param {string} [status]
   * @param {object} [details]
   * @returns {boolean} whether there is such a job
   */
  updateStatus(idOrWorkflow, status, details) {
    if (typeof idOrWorkflow === 'object' && idOrWorkflow) {
      this.workflow = idOrWorkflow
      return true
    }
    const job = this.#workflow.jobs.get(String(idOrWorkflow))
    if (!job) return false
    if (applyState(job, { ...details, status })) this.#announcer.changed(job)
    for (const key of [jobKey(job.id), job.group === null ? '' : groupKey(job.group)]) {
      const item = this.#scene.byKey.get(key)
      if (item !== undefined) this.#refresh(item)
    }
    this.#stale ||= this.#overview
    this.#minimapStale = true
    this.#tick()
    this.#request()
    return true
  }

  /** Theme keys, merged over the defaults. */
  get theme() {
    return this.#givenTheme
  }

  set theme(value) {
    this.#givenTheme = value
    this.#theme = mergeTheme(value)
    this.labels = this.#givenLabels
    this.#view.padding = this.#theme.layout.padding
    this.#dress()
    this.#rebuild(false)
  }

  /** Words, merged over the English ones. */
  get labels() {
    return this.#givenLabels
  }

  set labels(value) {
    this.#givenLabels = value
    this.#labels = mergeLabels(this.#theme.labels, value)
    this.#announcer.labels = this.#labels
    nameParts(this.#parts, this.#labels, this.#workflow)
    this.#refreshAll()
  }

  /** LeftToRight or TopToBottom. */
  get direction() {
    return readDirection(this.getAttribute('direction')) ?? this.#theme.direction ?? 'LeftToRight'
  }

  set direction(value) {
    this.setAttribute('direction', readDirection(value) ?? 'LeftToRight')
  }

  /** auto (as the system wishes), light, dark, contrast or contrast-dark. */
  get scheme() {
    return this.getAttribute('scheme') ?? 'auto'
  }

  set scheme(value) {
    this.setAttribute('scheme', String(value))
  }

  get zoom() {
    return this.#view.zoom
  }

  setZoom(/** @type {number} */ zoom) {
    if (!Number.isFinite(zoom)) return
    this.#view.zoomAt(this.#view.width / 2, this.#view.height / 2, zoom)
    this.#moved()
  }

  /** Show all of it. */
  fit() {
    this.#fitted = true
    this.#view.fit()
    this.#moved(true)
  }

  /** Selects one job and brings it into sight, opening its group. @returns {boolean} whether there is such a job */
  selectNode(/** @type {string} */ id) {
    const job = this.#workflow.jobs.get(String(id))
    if (!job) return false
    if (job.group !== null && this.#collapsed.has(job.group)) this.toggleGroup(job.group, false)
    this.#select([job.id])
    this.#whenPlaced(() => this.#goToItem(jobKey(job.id)))
    return true
  }

  deselectAll() {
    this.#select([])
  }

  /** Ids of the selected jobs. */
  get selection() {
    return [...this.#selected]
  }

  /** Names of the groups that are collapsed. @returns {string[]} */
  get collapsedGroups() {
    return [...this.#collapsed]
  }

  set collapsedGroups(names) {
    this.#collapsed = new Set([...names].map(String))
    this.#rebuild(false)
  }

  /** Collapse a group, or open it. */
  toggleGroup(/** @type {string} */ name, collapsed = !this.#collapsed.has(name)) {
    const index = this.#scene.byKey.get(groupKey(name))
    if (index === undefined || collapsed === this.#collapsed.has(name)) return
    if (collapsed) this.#collapsed.add(name)
    else this.#collapsed.delete(name)
    this.#nodes.setActive(groupKey(name))
    this.#rebuild(false)
    this.#emit('group-toggle', { group: name, collapsed })
  }

  /** {id: {x, y, width, height}} of the jobs that are shown, in the graph's own pixels. */
  getNodePositions() {
    return Object.fromEntries(
      this.#scene.items.flatMap(({ job, x, y, w, h }) => (job ? [[job.id, { x, y, width: w, height: h }]] : [])),
    )
  }

  /** Resolves when the graph is laid out and painted. @returns {Promise<void>} */
  settled() {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#request()
    })
  }

  /** Forgets the workflow and lets go of everything; so does removing it from the page, but that remembers. */
  destroy() {
    this.#disconnect()
    this.#given = null
    this.#workflow = readWorkflow(null)
    this.#selected.clear()
    this.#scene = sceneOf(this.#workflow, this.#collapsed)
    this.#nodes.clear()
    this.remove()
  }

  // --- life in a page ---

  connectedCallback() {
    for (const name of PROPERTIES) {
      // Set before the element was defined.
      if (!Object.hasOwn(this, name) || name === 'clock') continue
      const value = /** @type {any} */ (this)[name]
      delete (/** @type {any} */ (this)[name])
      Object.assign(this, { [name]: value })
    }
    this.#connection = new AbortController()
    const { signal } = this.#connection
    const { stage, layer, buttons } = this.#parts
    new Gestures(
      stage,
      {
        view: () => this.#view,
        itemAt: (x, y) => this.#itemAt(x, y),
        moved: () => this.#moved(),
        click: (x, y, event) => this.#click(x, y, event),
        hover: (at) => this.#hover(at),
        band: (band, done) => this.#band(band, done),
        wheelZooms: () => this.getAttribute('wheel') !== 'ctrl',
      },
      signal,
    )
    const on = (/** @type {EventTarget} */ from, /** @type {string} */ type, /** @type {(event: any) => void} */ listener) =>
      from.addEventListener(type, listener, { signal })
    on(layer, 'keydown', (event) => this.#key(event))
    on(layer, 'focusin', (event) => this.#focus(event.target))
    on(layer, 'focusout', () => this.#focus(null))
    // A click without a pointer: from a screen reader.
    on(layer, 'click', (event) => event.detail === 0 && this.#activate(this.#indexOf(event.target), event))
    on(stage, 'scroll', () => stage.scrollTo(0, 0))
    on(this.#parts.controls, 'pointerdown', (event) => event.stopPropagation())
    on(buttons.zoom_in, 'click', () => this.setZoom(this.#view.zoom * 1.4))
    on(buttons.zoom_out, 'click', () => this.setZoom(this.#view.zoom / 1.4))
    on(buttons.fit, 'click', () => this.fit())
    on(document, 'visibilitychange', () => this.#tick())
    for (const wish of WISHES) on(matchMedia(wish), 'change', () => this.#dress())
    this.#resized = new ResizeObserver(() => this.#resize())
    this.#resized.observe(stage)
    this.#resize()
    this.#dress()
    this.#rebuild(false)
  }

  disconnectedCallback() {
    this.#disconnect()
  }

  #disconnect() {
    this.#connection?.abort()
    this.#connection = null
    this.#resized?.disconnect()
    this.#layouter.forget()
    this.#pending = 0
    this.#announcer.forget()
    clearInterval(this.#ticking)
    this.#ticking = undefined
    clearTimeout(this.#settling)
    cancelAnimationFrame(this.#frame)
    this.#frame = 0
  }

  attributeChangedCallback(/** @type {string} */ name, /** @type {string | null} */ before, /** @type {string | null} */ after) {
    if (before === after || !this.#connection) return
    if (name === 'direction') {
      this.#fitted = true
      this.#rebuild(false)
    } else this.#dress()
  }

  // --- from a workflow to a scene ---

  #rebuild(/** @type {boolean} */ same) {
    nameParts(this.#parts, this.#labels, this.#workflow)
    if (!this.#connection) return
    const before = this.#scene
    const scene = sceneOf(this.#workflow, this.#collapsed)
    if (same && this.#pending === 0 && before.items.length === scene.items.length) {
      scene.items.forEach((item, i) => {
        const { x, y, w, h, frameH } = before.items[i]
        Object.assign(item, { x, y, w, h, frameH })
      })
      scene.edges.forEach((edge, i) => Object.assign(edge, { route: before.edges[i].route, box: before.edges[i].box }))
      this.#show(scene)
      return
    }
    this.#pending++
    const mine = this.#pending
    this.#layouter.solve(this.#problem(scene), (solution) => {
      if (mine !== this.#pending) return
      this.#pending = 0
      this.#placeAll(scene, solution)
    })
  }

  /** @param {Scene} scene @returns {import('./layout.js').Problem} */
  #problem(scene) {
    const { layout } = this.#theme
    const frames = scene.items.flatMap((item, i) => (item.kind === 'frame' ? [i] : []))
    const cluster = new Map(frames.map((item, at) => [item, at]))
    const boxes = scene.items.flatMap((item, i) => (item.kind === 'frame' ? [] : [i]))
    const node = new Map(boxes.map((item, at) => [item, at]))
    return {
      nodes: boxes.map((i) => ({
        w: layout.node_width,
        h: layout.node_height,
        cluster: cluster.get(scene.items[i].frame) ?? -1,
      })),
      edges: scene.edges.map(({ from, to }) => [Number(node.get(from)), Number(node.get(to))]),
      clusters: frames.length,
      down: this.direction === 'TopToBottom',
      flowGap: layout.h_gap,
      crossGap: layout.v_gap,
      frame: FRAME_PX,
      title: TITLE_PX - FRAME_PX / 2,
    }
  }

  /** @param {Scene} scene @param {import('./layout.js').Solution} solution */
  #placeAll(scene, solution) {
    let [frame, node] = [0, 0]
    for (const item of scene.items) {
      if (item.kind === 'frame') {
        const rect = solution.clusters[frame++]
        Object.assign(item, { ...rect, h: TITLE_PX, frameH: rect.h })
      } else Object.assign(item, solution.nodes[node++])
    }
    scene.edges.forEach((edge, i) => {
      edge.route = solution.routes[i]
      edge.box = boxOf(edge.route)
    })

    // What one looks at stays where it is.
    const anchor = this.#anchor()
    this.#view.bounds = { w: solution.width, h: solution.height }
    this.#show(scene)
    if (this.#fitted) this.#view.fit()
    else if (anchor) {
      const now = scene.byKey.get(anchor.key)
      if (now === undefined) return
      this.#view.x = anchor.x - scene.items[now].x * this.#view.zoom
      this.#view.y = anchor.y - scene.items[now].y * this.#view.zoom
    }
  }

  #anchor() {
    const { items, byKey } = this.#scene
    const { x, y, zoom, width, height } = this.#view
    const middle = this.#view.toGraph(width / 2, height / 2)
    let best = byKey.get(this.#nodes.active) ?? -1
    const seen = best >= 0 && this.#inSight(best)
    if (!seen) {
      let nearest = Infinity
      items.forEach((item, i) => {
        const distance = Math.hypot(item.x - middle.x, item.y - middle.y)
        if (distance < nearest) [nearest, best] = [distance, i]
      })
    }
    return best < 0 ? null : { key: items[best].key, x: items[best].x * zoom + x, y: items[best].y * zoom + y }
  }

  #inSight(/** @type {number} */ index) {
    const { left, top, right, bottom } = this.#view.rect()
    const { x, y, w, h } = this.#scene.items[index]
    return x + w > left && x < right && y + h > top && y < bottom
  }

  /** @param {Scene} scene placed */
  #show(scene) {
    this.#scene = scene
    this.#culled.zoom = NaN
    this.#order = readingOrder(scene, this.direction === 'TopToBottom')
    this.#rank = []
    this.#order.forEach((item, at) => (this.#rank[item] = at))
    if (!scene.byKey.has(this.#nodes.active)) this.#nodes.active = scene.items[this.#order[0]]?.key ?? ''
    this.#hovered = -1
    this.#focused = this.#focused >= 0 ? (scene.byKey.get(this.#nodes.active) ?? -1) : -1
    this.#light()
    this.#dressMinimap()
    this.#refreshAll()
    this.#tick()
  }

  // --- pictures ---

  #dress() {
    const { root, header, controls, probe } = this.#parts
    root.dataset.scheme = this.scheme
    applyTheme(root, this.#theme)
    header.hidden = this.#theme.layout.header_height === 0
    controls.hidden = this.getAttribute('controls') === 'none'
    if (!this.#connection) return
    this.#colors = readColors(probe)
    this.#dressMinimap()
    this.#refreshAll()
  }

  #dressMinimap() {
    const wish = this.getAttribute('minimap')
    const large = this.#scene.items.length >= MINIMAP_FROM
    const shown = wish === 'never' ? false : wish === 'always' ? true : (this.#theme.minimap ?? large)
    this.#parts.minimap.hidden = !shown || this.#workflow.jobs.size === 0
    this.#minimapStale = true
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#parts.stage
    const view = this.#view
    const middle = view.toGraph(view.width / 2, view.height / 2)
    const first = view.width === 0
    view.width = clientWidth
    view.height = clientHeight
    if (this.#fitted || first) view.fit()
    else view.centreOn(middle.x, middle.y)
    this.#moved(this.#fitted)
  }

  /** The view has changed; fitted: to all of it, so it is kept so. */
  #moved(fitted = false) {
    this.#fitted = fitted
    this.#moving = true
    this.#parts.stage.classList.add('moving')
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => {
      this.#moving = false
      this.#stale = true
      this.#parts.stage.classList.remove('moving')
      this.#parts.layer.style.setProperty('--zoom', String(this.#view.zoom))
      this.#request()
    }, SETTLE_MS)
    this.#request()
  }

  #request() {
    if (this.#frame || !this.#connection) return
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0
      this.#draw()
    })
  }

  #refreshAll() {
    for (const [key] of this.#nodes.entries()) {
      const index = this.#scene.byKey.get(key)
      if (index !== undefined) this.#refresh(index)
    }
    this.#stale = true
    this.#minimapStale = true
    this.#request()
  }

  #refresh(/** @type {number} */ index) {
    const { key, job } = this.#scene.items[index]
    const node = this.#nodes.get(key)
    if (!node) return
    fillNode(node, this.#scene, index, {
      labels: this.#labels,
      now: this.clock(),
      rank: this.#rank[index],
      active: key === this.#nodes.active,
      selected: job !== null && this.#selected.has(job.id),
      lit: this.#lit.has(index),
    })
  }

  #draw() {
    const view = this.#view
    if (!view.width || !view.height) return
    const { layer } = this.#parts
    layer.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`
    if (this.#hasLeft(this.#culled)) this.#cull()
    if (this.#mustPaint()) this.#paint()
    else this.#painter.shift(view)

    const { minimap } = this.#parts
    if (!minimap.hidden) {
      if (this.#minimapStale) this.#minimap.draw(this.#scene, view.bounds, this.#colors)
      this.#minimapStale = false
      this.#minimap.show(view, this.#colors)
    }
    if (this.#pending === 0) for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #paint() {
    this.#painter.paint({
      scene: this.#scene,
      view: this.#view,
      colors: this.#colors,
      theme: this.#theme,
      down: this.direction === 'TopToBottom',
      overview: this.#overview,
      lit: this.#lit,
      selected: this.#selected,
    })
    this.#stale = false
  }

  /** A picture with a margin is good for a while: moving it costs nothing. Zooming wants new ones, but not at any price. */
  #mustPaint() {
    if (this.#stale) return true
    const { cost, at, painted } = this.#painter
    if (this.#moving && cost > SMOOTH_MS && performance.now() - at < Math.max(REPAINT_MS, 4 * cost)) return false
    return this.#moving && (painted.zoom !== this.#view.zoom || this.#hasLeft(painted))
  }

  #hasLeft(/** @type {{x: number, y: number, zoom: number}} */ from) {
    const { x, y, zoom } = this.#view
    const ratio = zoom / from.zoom
    const far = Math.max(Math.abs(x - from.x), Math.abs(y - from.y)) > FAR_PX
    return !(ratio > 0.9 && ratio < 1.1) || far || (!this.#moving && (ratio !== 1 || x !== from.x || y !== from.y))
  }

  /** Which items are elements now: those in sight, unless they are too many to be read; and the one that Tab leads to. */
  #cull() {
    const { items, byKey } = this.#scene
    const { x, y, zoom } = this.#view
    this.#culled = { x, y, zoom }
    const { left, top, right, bottom } = this.#view.rect(CULL_MARGIN_PX)
    const seen = this.#order.filter((i) => {
      const { x, y, w, h } = items[i]
      return x < right && x + w > left && y < bottom && y + h > top
    })
    const overview = seen.length > (this.#view.zoom < READABLE ? MOST_SMALL : MOST_NODES)
    if (overview !== this.#overview) {
      this.#overview = overview
      this.#stale = true
      this.#painter.cost = 0
    }
    const active = byKey.get(this.#nodes.active)
    let wanted = overview ? [] : seen
    if (active !== undefined && !wanted.includes(active)) {
      wanted = [...wanted, active].sort((a, b) => this.#rank[a] - this.#rank[b])
    }
    this.#nodes.sync(this.#scene, wanted, (_, index) => this.#refresh(index))
    const running = wanted.filter((i) => items[i].job?.status === 'running').length
    this.#parts.stage.classList.toggle('calm', running > MOST_TURNING)
  }

  // --- time ---

  /** Seconds pass only where a job runs and is looked at. */
  #tick() {
    const running = [...this.#workflow.jobs.values()].some((job) => job.status === 'running' && job.startedAt !== null)
    if (!running || !this.#connection || document.hidden) {
      clearInterval(this.#ticking)
      this.#ticking = undefined
      return
    }
    this.#ticking ??= setInterval(() => {
      for (const [key, node] of this.#nodes.entries()) {
        const index = this.#scene.byKey.get(key)
        if (index !== undefined) fillTime(node, this.#scene.items[index], this.#labels, this.clock())
      }
    }, 500)
  }

  // --- pointers ---

  #itemAt(/** @type {number} */ px, /** @type {number} */ py) {
    const { x, y } = this.#view.toGraph(px, py)
    return this.#scene.items.findIndex((item) => x >= item.x && x <= item.x + item.w && y >= item.y && y <= item.y + item.h)
  }

  #edgeAt(/** @type {number} */ px, /** @type {number} */ py) {
    const { x, y } = this.#view.toGraph(px, py)
    return edgeAt(this.#scene, x, y, EDGE_REACH_PX / this.#view.zoom, this.direction === 'TopToBottom')
  }

  /** @param {{x: number, y: number} | null} at */
  #hover(at) {
    const index = at ? this.#itemAt(at.x, at.y) : -1
    this.#parts.stage.classList.toggle('on-edge', at !== null && (index >= 0 || this.#edgeAt(at.x, at.y) !== null))
    if (index === this.#hovered) return
    const before = this.#scene.items[this.#hovered]?.job?.id ?? null
    this.#hovered = index
    const id = this.#scene.items[index]?.job?.id ?? null
    this.#light()
    if (id !== before) this.#emit('node-hover', { id })
  }

  /** The path of what is pointed at, or has the keyboard. */
  #light() {
    const start = this.#hovered >= 0 ? this.#hovered : this.#focused
    const lit = start >= 0 && start < this.#scene.items.length ? pathOf(this.#scene, start) : new Set()
    if (lit.size === 0 && this.#lit.size === 0) return
    this.#lit = lit
    for (const [key, { element }] of this.#nodes.entries()) {
      element.classList.toggle('lit', lit.has(Number(this.#scene.byKey.get(key))))
    }
    this.#stale = true
    this.#request()
  }

  #click(/** @type {number} */ x, /** @type {number} */ y, /** @type {PointerEvent} */ event) {
    const index = this.#itemAt(x, y)
    if (index >= 0) {
      this.#activate(index, event)
      return
    }
    const edge = this.#edgeAt(x, y)
    if (edge) {
      this.#emit('edge-click', { ...this.#ends(edge), originalEvent: event })
      return
    }
    if (!event.shiftKey) this.deselectAll()
    this.#emit('canvas-click', { ...this.#view.toGraph(x, y), originalEvent: event })
  }

  /** A merged edge has the groups' names at its ends. @param {import('./model.js').Edge} edge */
  #ends(edge) {
    const [from, to] = [this.#scene.items[edge.from], this.#scene.items[edge.to]]
    const name = (/** @type {import('./model.js').Item} */ item) => item.job?.id ?? item.name
    return { from: name(from), to: name(to), count: edge.count }
  }

  #activate(/** @type {number} */ index, /** @type {MouseEvent | KeyboardEvent} */ event) {
    const item = this.#scene.items[index]
    if (!item) return
    this.#nodes.setActive(item.key)
    if (!item.job) {
      this.toggleGroup(item.name)
      return
    }
    const { id } = item.job
    if (event.shiftKey) {
      this.#select(this.#selected.has(id) ? this.selection.filter((other) => other !== id) : [...this.selection, id])
      return
    }
    this.#select([id])
    this.#emit('node-click', { id, job: item.job.source, originalEvent: event })
  }

  /** @param {{left: number, top: number, right: number, bottom: number} | null} band @param {boolean} done */
  #band(band, done) {
    const { band: element } = this.#parts
    element.hidden = done || !band
    if (!band) return
    element.style.transform = `translate(${band.left}px, ${band.top}px)`
    element.style.width = `${band.right - band.left}px`
    element.style.height = `${band.bottom - band.top}px`
    if (!done) return
    const from = this.#view.toGraph(band.left, band.top)
    const to = this.#view.toGraph(band.right, band.bottom)
    const inside = this.#scene.items.flatMap(({ job, x, y, w, h }) => {
      const [cx, cy] = [x + w / 2, y + h / 2]
      return job && cx >= from.x && cx <= to.x && cy >= from.y && cy <= to.y ? [job.id] : []
    })
    this.#select([...this.#selected, ...inside])
  }

  #goTo(/** @type {number} */ x, /** @type {number} */ y) {
    this.#view.centreOn(x, y)
    this.#view.pan(0, 0)
    this.#moved()
  }

  // --- the keyboard ---

  #key(/** @type {KeyboardEvent} */ event) {
    const index = this.#indexOf(event.target)
    if (index < 0 || event.altKey) return
    const command = event.ctrlKey || event.metaKey
    const down = this.direction === 'TopToBottom'
    const move = command ? null : moveOf(event.key, down)
    const go = (/** @type {number} */ to) => this.#focusItem(to, event.shiftKey && move !== null)
    if (move) go(target(this.#scene, this.#order, down, index, move))
    else if (command && event.key.toLowerCase() === 'a') {
      this.#select(this.#scene.items.flatMap(({ job }) => (job ? [job.id] : [])))
    } else if (command) return
    else if (event.key === 'Home') go(this.#order[0])
    else if (event.key === 'End') go(this.#order[this.#order.length - 1])
    else if (event.key === 'Enter' || event.key === ' ') this.#activate(index, event)
    else if (event.key === 'Escape' && this.#selected.size) this.deselectAll()
    else if (event.key === '+' || event.key === '=') this.#zoomItem(index, 1.4)
    else if (event.key === '-') this.#zoomItem(index, 1 / 1.4)
    else if (event.key === '0') this.fit()
    else if ([...event.key].length === 1) go(this.#typeAhead(index, event.key))
    // Tab, among others, does what it does.
    else return
    event.preventDefault()
  }

  /** About the job that has the focus: it stays where it is. */
  #zoomItem(/** @type {number} */ index, /** @type {number} */ factor) {
    const { x, y, w, h } = this.#scene.items[index]
    const view = this.#view
    view.zoomAt((x + w / 2) * view.zoom + view.x, (y + h / 2) * view.zoom + view.y, view.zoom * factor)
    this.#moved()
  }

  #typeAhead(/** @type {number} */ index, /** @type {string} */ key) {
    const now = performance.now()
    const text = now - this.#typed.at < TYPED_MS ? this.#typed.text + key : key
    this.#typed = { text, at: now }
    return named(this.#scene, this.#order, index, text)
  }

  #focusItem(/** @type {number} */ index, /** @type {boolean} */ select) {
    const item = this.#scene.items[index]
    this.#nodes.setActive(item.key)
    this.#view.reveal(item)
    this.#moved()
    this.#cull()
    this.#nodes.get(item.key)?.element.focus({ preventScroll: true })
    if (select && item.job) this.#select([...this.#selected, item.job.id])
  }

  /** @param {any} element that has got the focus; null: it has gone */
  #focus(element) {
    const index = element ? this.#indexOf(element) : -1
    if (index >= 0) this.#nodes.setActive(this.#scene.items[index].key)
    this.#focused = index >= 0 && element.matches(':focus-visible') ? index : -1
    if (this.#focused >= 0) {
      this.#view.reveal(this.#scene.items[index])
      this.#moved()
    }
    this.#light()
  }

  #indexOf(/** @type {any} */ element) {
    const key = element?.closest?.('.item')?.dataset.key
    return key === undefined ? -1 : (this.#scene.byKey.get(key) ?? -1)
  }

  // --- selection, and what it tells ---

  #select(/** @type {string[]} */ ids) {
    const next = new Set(ids)
    if (next.size === this.#selected.size && ids.every((id) => this.#selected.has(id))) return
    const changed = [...next, ...this.#selected].filter((id) => next.has(id) !== this.#selected.has(id))
    this.#selected = next
    for (const id of changed) {
      const index = this.#scene.byKey.get(jobKey(id))
      if (index !== undefined) this.#refresh(index)
    }
    this.#stale = true
    this.#request()
    this.#tellSelection()
  }

  #tellSelection() {
    this.#emit('selection-change', { ids: this.selection })
  }

  #goToItem(/** @type {string} */ key) {
    const index = this.#scene.byKey.get(key)
    if (index === undefined) return
    this.#nodes.setActive(key)
    if (this.#view.zoom < READABLE) {
      const item = this.#scene.items[index]
      this.#view.zoom = this.#view.clamp(1)
      this.#view.centreOn(item.x + item.w / 2, item.y + item.h / 2)
    } else this.#view.reveal(this.#scene.items[index])
    this.#moved()
  }

  /** Now, or when a layout that is under way is there. */
  #whenPlaced(/** @type {() => void} */ act) {
    if (this.#pending === 0) act()
    else void this.settled().then(act)
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }))
  }
}
