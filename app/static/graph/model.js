// What any of our JSON says of a workflow, in one form; and what of it is seen when groups are collapsed.

/** @typedef {'queued' | 'running' | 'success' | 'failure' | 'skipped' | 'cancelled'} Status */

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {string} name
 * @property {Status} status
 * @property {string[]} needs ids of known jobs
 * @property {string | null} group
 * @property {number | null} startedAt epoch milliseconds
 * @property {number | null} durationMs of a job that has ended
 * @property {number} attempt counts from 0
 * @property {boolean} kept taken over from an earlier run
 * @property {boolean} paused
 * @property {unknown} source as it was given
 *
 * @typedef {{id: string, name: string, trigger: string, jobs: Map<string, Job>, collapsed: Set<string>}} Workflow collapsed: groups that ask for it
 */

/** @type {readonly Status[]} */
export const STATUSES = ['queued', 'running', 'success', 'failure', 'skipped', 'cancelled']
const ENDED = new Set(['success', 'failure', 'skipped', 'cancelled'])

/**
 * The answer of GET /api/runs/{id}, of GET /api/workflows/{id}/status, or {jobs: [{id, name, needs, …}]}.
 * @param {any} value
 * @returns {Workflow}
 */
export function readWorkflow(value) {
  /** @type {Map<string, Job>} */
  const jobs = new Map()
  const collapsed = new Set()
  for (const source of list(value?.jobs)) {
    const id = text(source?.job_id ?? source?.id ?? source?.key)
    if (id === null || jobs.has(id)) continue
    jobs.set(id, {
      id,
      name: text(source.name) || id,
      status: 'queued',
      needs: list(source.needs ?? source.depends_on).map(String),
      group: text(source.group ?? source.metadata?.group) || null,
      startedAt: null,
      durationMs: null,
      attempt: 0,
      kept: false,
      paused: false,
      source,
    })
    applyState(/** @type {Job} */ (jobs.get(id)), source)
  }
  for (const job of jobs.values()) {
    job.needs = [...new Set(job.needs)].filter((need) => need !== job.id && jobs.has(need))
  }
  for (const name of list(value?.collapsed)) collapsed.add(String(name))
  const id = text(value?.run_id ?? value?.id) ?? ''
  return { id, name: text(value?.name ?? value?.id) ?? '', trigger: text(value?.trigger) ?? '', jobs, collapsed }
}

/**
 * The members of a job's JSON that change while it runs. What is absent stays as it was.
 * @param {Job} job
 * @param {any} source
 * @returns {boolean} whether its status changed
 */
export function applyState(job, source) {
  const before = job.status
  const status = source?.state ?? source?.status
  if (STATUSES.includes(status)) job.status = status
  const started = source?.started_at_ms !== undefined ? source.started_at_ms : source?.started_at
  if (started !== undefined) job.startedAt = finite(started)
  if (source?.duration_secs !== undefined) {
    const secs = finite(source.duration_secs)
    job.durationMs = secs === null ? null : secs * 1000
  }
  if (source?.finished_at_ms !== undefined) {
    const finished = finite(source.finished_at_ms)
    job.durationMs = finished === null || job.startedAt === null ? null : Math.max(0, finished - job.startedAt)
  }
  if (source?.attempt !== undefined) job.attempt = finite(source.attempt) ?? 0
  if (source?.kept !== undefined) job.kept = source.kept === true
  if (source?.paused !== undefined) job.paused = Boolean(source.paused)
  return job.status !== before
}

/** Whether two workflows have the same jobs, names, dependencies and groups: then nothing has to move. */
export function sameShape(/** @type {Workflow} */ a, /** @type {Workflow} */ b) {
  if (a.jobs.size !== b.jobs.size) return false
  const others = b.jobs.values()
  for (const job of a.jobs.values()) {
    const other = /** @type {Job} */ (others.next().value)
    if (job.id !== other.id || job.group !== other.group) return false
    if (job.needs.length !== other.needs.length || job.needs.some((need, i) => need !== other.needs[i])) return false
  }
  return true
}

/**
 * @typedef {object} Item what is drawn: a job, a collapsed group, or the frame of an open one
 * @property {string} key
 * @property {'job' | 'group' | 'frame'} kind
 * @property {string} name
 * @property {Job | null} job
 * @property {Job[]} members of a group or frame
 * @property {number} frame the index of the frame it is in, or -1
 * @property {number} x
 * @property {number} y
 * @property {number} w
 * @property {number} h of a frame: of its title
 * @property {number} frameH of a frame: the whole
 *
 * @typedef {{from: number, to: number, count: number, route: number[], box: number[]}} Edge items it joins; count: how many dependencies it stands for
 * @typedef {{items: Item[], edges: Edge[], byKey: Map<string, number>, parents: number[][], children: number[][]}} Scene
 */

export const jobKey = (/** @type {string} */ id) => `job ${id}`
export const groupKey = (/** @type {string} */ name) => `group ${name}`

/**
 * Items and edges, without positions. Edges of a collapsed group are merged.
 * @param {Workflow} workflow
 * @param {Set<string>} collapsed
 * @returns {Scene}
 */
export function sceneOf(workflow, collapsed) {
  /** @type {Item[]} */
  const items = []
  const byKey = new Map()
  const add = (/** @type {Partial<Item> & {key: string}} */ item) => {
    byKey.set(item.key, items.length)
    items.push(/** @type {Item} */ ({ job: null, members: [], frame: -1, x: 0, y: 0, w: 0, h: 0, frameH: 0, ...item }))
    return items.length - 1
  }
  const shown = new Map()
  for (const job of workflow.jobs.values()) {
    let group = -1
    if (job.group !== null) {
      const key = groupKey(job.group)
      const closed = collapsed.has(job.group)
      group = byKey.get(key) ?? add({ key, kind: closed ? 'group' : 'frame', name: job.group })
      items[group].members.push(job)
      if (closed) {
        shown.set(job.id, group)
        continue
      }
    }
    shown.set(job.id, add({ key: jobKey(job.id), kind: 'job', name: job.name, job, frame: group }))
  }

  /** @type {Edge[]} */
  const edges = []
  const known = new Map()
  /** @type {number[][]} */
  const parents = items.map(() => [])
  /** @type {number[][]} */
  const children = items.map(() => [])
  for (const job of workflow.jobs.values()) {
    const to = shown.get(job.id)
    for (const need of job.needs) {
      const from = shown.get(need)
      if (from === to) continue
      const key = from * items.length + to
      const edge = known.get(key)
      if (edge) {
        edge.count++
        continue
      }
      known.set(key, { from, to, count: 1, route: [], box: [] })
      edges.push(known.get(key))
      parents[to].push(from)
      children[from].push(to)
    }
  }
  return { items, edges, byKey, parents, children }
}

/** One status for all jobs of a group: what needs attention first. @returns {Status} */
export function statusOf(/** @type {Item} */ item) {
  if (item.job) return item.job.status
  const has = new Set(item.members.map((job) => job.status))
  for (const status of /** @type {Status[]} */ (['failure', 'running', 'cancelled', 'queued', 'success'])) {
    if (has.has(status)) return status
  }
  return 'skipped'
}

export const endedCount = (/** @type {Item} */ item) => item.members.filter((job) => ENDED.has(job.status)).length

/**
 * All items before and after one, itself included. For a frame: of its members.
 * @param {Scene} scene
 * @param {number} start
 */
export function pathOf(scene, start) {
  const seen = new Set([start])
  const from = scene.items[start].kind === 'frame' ? framed(scene, start) : [start]
  for (const links of [scene.parents, scene.children]) {
    const walked = new Set(from)
    for (const item of walked) for (const next of links[item]) walked.add(next)
    for (const item of walked) seen.add(item)
  }
  return seen
}

const framed = (/** @type {Scene} */ scene, /** @type {number} */ frame) =>
  scene.items.flatMap((item, i) => (item.frame === frame ? [i] : []))

/** Names as they may be shown: what has no form of its own gets one. Direction is isolated by the style sheet. */
export function visible(/** @type {string} */ name) {
  return name
    .replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f]/g, '\u2421')
}

const list = (/** @type {any} */ value) => (Array.isArray(value) ? value : [])
const text = (/** @type {any} */ value) => (value === null || value === undefined ? null : String(value))
const finite = (/** @type {any} */ value) => (Number.isFinite(value) ? Number(value) : null)
