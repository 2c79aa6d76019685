// One run: its graph, its timeline, its jobs; live.

import { announce } from './announce.js'
import { get, nonce, now, path, post, query } from './api.js'
import { ask, reasonField } from './dialog.js'
import { h } from './dom.js'
import { counted, elapsed, when } from './format.js'
import { follow, Resource, seldom } from './live.js'
import { actionProblem, button, head, link, name, PAUSED, pausedMark, problem, shortId, shown, table, tabs } from './parts.js'
import { badge, ENDED, isLater, labelOf, STATES } from './states.js'
import { timeline } from './timeline.js'

const RELOAD_MS = 700
const SHARE = 10 // of the time, at most, is for loading: one in so many
const ROWS = 300

/** The component, if it is there. */
let graph = null
const whenGraph = import('../graph/graph.js').then(
  () => {
    graph = true
  },
  () => {
    graph = false
  },
)

// What of the theme is for the room that there is.
const WIDE = { node_width: 204, h_gap: 40, padding: 16, status_icon_margin: 8 }
const NARROW = { node_width: 148, node_height: 34, h_gap: 26, v_gap: 8, padding: 12, status_icon_margin: 6 }

/** No higher than what it shows: the controls stand below, at its left. */
async function sized(graph) {
  await graph.settled()
  const boxes = Object.values(graph.getNodePositions())
  if (!boxes.length) return
  const far = (at, size) => Math.max(...boxes.map((box) => box[at] + box[size]))
  const [width, height] = [far('x', 'width'), far('y', 'height')]
  const zoom = Math.min(1, graph.clientWidth / (width + 60))
  graph.style.setProperty('--content', `${Math.ceil(height * zoom) + 110}px`)
}

function schemeOfGraph() {
  const chosen = document.documentElement.dataset.theme ?? 'auto'
  return chosen === 'contrast' && matchMedia('(prefers-color-scheme: dark)').matches ? 'contrast-dark' : chosen
}

export function runView(page, id) {
  page.title = 'Run'
  page.keeps = true
  const isNarrow = innerWidth <= 640
  whenGraph.then(() => page.update())
  let heard = { state: null, jobs: new Map() } // while it was loaded
  const run = new Resource(page, async (options) => {
    heard = { state: null, jobs: new Map() }
    const loaded = await get(path`api/runs/${id}`, options)
    loaded.byId = new Map(loaded.jobs.map((job) => [job.job_id, job]))
    // What was told on the way may be newer: nothing goes back for a moment.
    if (heard.state && isLater(heard, loaded)) loaded.state = heard.state
    for (const change of heard.jobs.values()) {
      const job = loaded.byId.get(change.job_id)
      if (job && isLater(change, job)) Object.assign(job, change)
    }
    if (run.data) tell(run.data, loaded)
    return loaded
  })
  const attempts = new Resource(page, async (options) => {
    const all = []
    let cursor = null
    do {
      const part = await get(query(path`api/runs/${id}/attempts`, { limit: 10000, cursor }), options)
      all.push(...part.items)
      cursor = part.next_cursor
    } while (cursor)
    return all
  })
  const again = () => (run.again(), attempts.again())
  const reload = seldom(() => Math.max(RELOAD_MS, SHARE * (run.took + attempts.took)), page.signal, again)
  const element = { graph: null, shown: null, collapsed: [] }
  let streamProblem = null
  let most = ROWS
  watch()

  function watch() {
    streamProblem = null
    follow(path`api/runs/${id}/stream`, { signal: page.signal, onEvent: changed }).catch((error) => {
      if (page.signal.aborted || error.status === 404) return // the run itself says so
      streamProblem = { error, again: watch }
      page.update()
    })
  }

  /** What the stream tells is shown at once; what it does not tell is loaded soon after. */
  function changed(event, data) {
    heard.state = data.state
    for (const change of data.jobs ?? []) heard.jobs.set(change.job_id, change)
    if (!run.data) return again() // what is on its way may be older
    const state = isLater(data, run.data) ? data.state : run.data.state
    const jobs = (data.jobs ?? []).filter((change) => {
      const job = run.data.byId.get(change.job_id)
      return job && isLater(change, job) // what goes back, as a job that was released, is loaded
    })
    tell(run.data, { state, jobs })
    run.data.state = state
    for (const change of jobs) {
      const job = Object.assign(run.data.byId.get(change.job_id), change)
      element.graph?.updateStatus(job.job_id, job.state, job)
    }
    if (event === 'end') again()
    else reload()
    page.update()
  }

  /** Announce what is new, whoever told it first. The graph announces the jobs that it shows. */
  function tell(before, after) {
    for (const { job_id, state } of element.graph ? [] : after.jobs) {
      const job = before.byId.get(job_id)
      if (job && job.state !== state) announce(`${job.name}: ${labelOf(state)}`)
    }
    if (before.state !== after.state && ENDED.has(after.state)) announce(`The run has ended: ${labelOf(after.state)}`)
  }

  // --- what can be done with it ---

  async function cancel() {
    await ask({
      title: 'Cancel this run',
      text: 'What runs is stopped, and what waits is not begun. It cannot be undone.',
      submit: 'Cancel the run',
      danger: true,
      fields: reasonField,
      act: ({ reason }) => post(path`api/runs/${run.data.run_id}/cancel`, { reason: reason.value.trim() || null }),
    })
    await run.again()
  }

  const keys = { all: nonce(), failed: nonce() } // pressed twice, it is one run
  async function rerun(jobs) {
    const started = await post(path`api/runs/${run.data.run_id}/rerun`, { jobs, idempotency_key: keys[jobs] })
    page.go(link`runs/${started.run_id}`)
  }

  // --- what is shown ---

  function graphOf(it) {
    return h('wfg-graph', {
      key: 'graph',
      class: 'graph',
      ref: (node) => {
        element.graph = node
        node.clock = now
        node.collapsedGroups = element.collapsed
        if (isNarrow) node.setAttribute('direction', 'TopToBottom')
        node.theme = { layout: isNarrow ? NARROW : WIDE }
        node.addEventListener('node-click', ({ detail }) => opened(detail))
        node.addEventListener('group-toggle', () => (element.collapsed = node.collapsedGroups))
        give(it)
      },
    })
  }

  /** As of a link: with Ctrl, beside this one. */
  function opened({ id: job, originalEvent: { ctrlKey, metaKey } }) {
    const place = link`runs/${id}/jobs/${job}`
    if (ctrlKey || metaKey) open(place, '_blank', 'noopener')
    else page.go(place)
  }

  /** Its positions stay: it is given the whole once for each answer. */
  function give(it) {
    if (!element.graph) return
    const scheme = schemeOfGraph()
    if (element.graph.scheme !== scheme) element.graph.scheme = scheme
    if (element.shown === it) return
    const isFirst = !element.shown
    element.shown = it
    element.graph.workflow = it
    if (isFirst) sized(element.graph)
  }

  function jobRow(job) {
    return h(
      'tr',
      { key: job.job_id },
      h(
        'td',
        null,
        badge(job.state),
        ' ',
        job.kept && h('span', { class: 'label' }, 'kept'),
        ' ',
        pausedMark(job.paused),
      ),
      h(
        'th',
        { scope: 'row' },
        h('a', { href: link`runs/${id}/jobs/${job.job_id}` }, name(job.name)),
        job.error &&
          job.state !== 'cancelled' &&
          h('div', { class: 'error one-line', title: job.error }, name(job.error)),
      ),
      h('td', null, job.group ? name(job.group) : '–'),
      h('td', { class: 'number' }, job.started_at_ms === null && !job.attempt ? '–' : job.attempt + 1),
      h('td', null, job.worker_id ? name(job.worker_id) : '–'),
      h('td', null, job.started_at_ms === null ? '–' : elapsed(job.started_at_ms, job.finished_at_ms)),
    )
  }

  function jobList(it) {
    const rest = it.jobs.length - most
    return [
      table('Jobs', ['State', 'Job', 'Group', 'Attempt', 'Worker', 'Took'], it.jobs.slice(0, most).map(jobRow), {
        class: 'jobs',
      }),
      rest > 0 &&
        h(
          'p',
          null,
          h(
            'button',
            { type: 'button', onclick: () => ((most += 1000), page.update()) },
            `Show more of the ${counted(rest, 'other job')}`,
          ),
        ),
    ]
  }

  function counts(jobs) {
    const found = new Map()
    for (const job of jobs) found.set(job.state, (found.get(job.state) ?? 0) + 1)
    return h(
      'p',
      { class: 'counts' },
      STATES.filter((state) => found.has(state)).map((state) =>
        h('span', { key: state }, badge(state, ` ${found.get(state).toLocaleString()}`)),
      ),
    )
  }

  function facts(it) {
    const isOver = ENDED.has(it.state)
    return [
      h(
        'p',
        { class: 'facts' },
        h('span', { key: 'id' }, 'run ', shortId(it.run_id)),
        h('span', { key: 'version' }, `version ${it.version}`),
        h('span', { key: 'at' }, 'created ', when(it.created_at_ms)),
        it.started_at_ms === null &&
          it.start_at_ms !== null &&
          !isOver &&
          h('span', { key: 'start' }, 'starts ', when(it.start_at_ms)),
        it.started_at_ms !== null &&
          h('span', { key: 'took' }, isOver ? 'took ' : 'for ', elapsed(it.started_at_ms, it.finished_at_ms)),
        it.started_by && h('span', { key: 'by' }, 'by ', name(it.started_by)),
        it.reason && h('span', { key: 'reason' }, name(it.reason)),
        it.rerun_of &&
          h('span', { key: 'rerun' }, 'again of ', h('a', { href: link`runs/${it.rerun_of}` }, shortId(it.rerun_of))),
      ),
      it.state === 'cancelled' &&
        (it.cancelled_by || it.cancel_reason) &&
        h(
          'p',
          { class: 'quiet', key: 'cancelled' },
          'Cancelled',
          it.cancelled_by && [' by ', name(it.cancelled_by)],
          it.cancel_reason && [': ', name(it.cancel_reason)],
        ),
      it.paused && h('p', { class: 'note', key: 'paused' }, `It waits, for ${PAUSED[it.paused]}.`),
      it.logs_pruned_at_ms !== null &&
        h('p', { class: 'note', key: 'pruned' }, 'Its logs were deleted ', when(it.logs_pruned_at_ms), '.'),
      Object.keys(it.inputs).length > 0 &&
        h(
          'dl',
          { class: 'inputs', key: 'inputs', 'aria-label': 'Inputs' },
          Object.entries(it.inputs).map(([key, value]) =>
            h(
              'div',
              { key },
              h('dt', null, name(key)),
              h('dd', null, name(typeof value === 'string' ? value : JSON.stringify(value))),
            ),
          ),
        ),
    ]
  }

  return () => {
    const it = run.data
    if (it) page.title = `${labelOf(it.state)}: ${it.workflow_id}`
    const crumbs = it && [h('a', { href: link`workflows/${it.workflow_id}` }, name(it.workflow_id)), ' / ']
    const top = h('p', { class: 'crumbs' }, crumbs, h('a', { href: link`runs` }, 'Runs'))
    if (!it) return [top, head('Run'), shown(run, () => null)]

    const isOver = ENDED.has(it.state)
    const hasBad = it.jobs.some((job) => job.state !== 'success')
    const views = graph === false ? ['jobs', 'timeline'] : ['graph', 'timeline', 'jobs']
    const chosen = views.includes(page.query.get('view')) ? page.query.get('view') : views[0]
    const texts = { graph: 'Graph', timeline: 'Timeline', jobs: `Jobs (${it.jobs.length.toLocaleString()})` }
    if (chosen !== 'graph') element.graph = element.shown = null
    else give(it)
    return [
      top,
      head(
        [name(it.name), ' ', badge(it.state)],
        [
          !isOver && button(page, 'Cancel run', cancel, { kind: 'danger-plain' }),
          isOver && button(page, 'Re-run all jobs', () => rerun('all'), { kind: hasBad ? '' : 'primary' }),
          isOver && hasBad && button(page, 'Re-run failed jobs', () => rerun('failed'), { kind: 'primary' }),
        ],
      ),
      facts(it),
      counts(it.jobs),
      actionProblem(page),
      run.error && !run.error.passing && problem(run.error, run.again),
      streamProblem && problem(streamProblem.error, streamProblem.again),
      tabs(
        'Of this run',
        views.map((view) => [view, texts[view], page.to({ view: view === views[0] ? null : view })]),
        chosen,
      ),
      chosen === 'graph' && (graph ? graphOf(it) : h('p', { class: 'loading' }, 'Loading…')),
      chosen === 'timeline' && h('section', { key: 'timeline' }, timeline(page, it, attempts.data ?? [])),
      chosen === 'jobs' && h('section', { key: 'jobs' }, jobList(it)),
    ]
  }
}
