// The worker protocol through @supabase/supabase-js, as it comes from npm. $WFG_URL: a server of its own; $WFG_TOKEN: of an operator.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from '@supabase/supabase-js'

const client = createClient(process.env.WFG_URL, process.env.WFG_TOKEN)
const labels = ['linux']

/** What a call answers; it must succeed. */
async function call(name, args, options) {
  const { data, error, status } = await client.rpc(name, args, options)
  assert.equal(error, null)
  assert.equal(status, 200)
  return data
}

/** How a call is refused. */
async function refused(name, args, options) {
  const { data, error, status } = await client.rpc(name, args, options)
  assert.equal(data, null)
  assert.deepEqual(Object.keys(error).sort(), ['code', 'details', 'hint', 'message'])
  return [status, error.code, error.message]
}

const claim = () => call('wfg_claim_job', { p_worker_id: 'js', p_labels: labels, p_ttl_secs: 30 })

test('a run, from its definition to its end', async () => {
  const p_definition = {
    name: 'CI',
    jobs: {
      test: { run: 'make test', labels },
      build: { run: 'make', labels, needs: ['test'], retries: 1 },
    },
  }
  const put = await call('wfg_put_workflow', { p_workflow_id: 'ci', p_definition })
  assert.deepEqual(put, { id: 'ci', version: 1, changed: true, warnings: [] })
  assert.equal(await claim(), null)

  const { run_id: p_run_id } = await call('wfg_start_run', { p_workflow_id: 'ci', p_inputs: {}, p_reason: 'Größe "1"' })
  const first = await claim()
  assert.equal(first.job.job_id, 'test')
  const { lease_id: p_lease_id } = first.lease
  assert.equal((await call('wfg_renew_lease', { p_lease_id })).stop, null)

  const line = { workflow_id: p_run_id, job_id: 'test', sequence: 0, data: 'ok 1 ✓\n', timestamp_ms: 1, stream: 'stdout' }
  const stored = await call('wfg_append_logs', { p_lease_id, p_chunks: [line] })
  assert.deepEqual(stored, { accepted: 1, truncated: false })
  assert.deepEqual(
    await call('wfg_list_logs', { p_workflow_id: p_run_id, p_job_id: 'test' }, { get: true }),
    [line],
  )
  assert.deepEqual(
    await call('wfg_complete_job', { p_lease_id, p_outputs: { coverage: '94%' } }),
    { job: 'success', run: 'running' },
  )
  assert.deepEqual(await refused('wfg_complete_job', { p_lease_id }), [409, 'PT409', 'already_reported'])
  assert.deepEqual(await refused('wfg_renew_lease', { p_lease_id }), [409, 'PT409', 'lease_not_held'])

  const second = await claim()
  assert.deepEqual(second.job.upstream_outputs, { test: { coverage: '94%' } })
  const again = await call('wfg_fail_job', {
    p_lease_id: second.lease.lease_id,
    p_error: 'boom',
    p_retryable: true,
  })
  assert.deepEqual(again, { job: 'queued', run: 'running' })

  await call('wfg_cancel_run', { p_run_id, p_cancelled_by: 'me' })
  const run = await call('wfg_get_run', { p_run_id }, { get: true })
  assert.equal(run.state, 'cancelled')
  assert.equal(run.reason, 'Größe "1"')
  assert.deepEqual(run.jobs.map((job) => job.state), ['success', 'cancelled'])
  assert.equal(await call('wfg_is_cancelled', { p_workflow_id: p_run_id, p_job_id: 'build' }, { get: true }), true)
})

test('many at once', async () => {
  const p_definition = { name: 'One', jobs: { a: { run: 'true', labels } } }
  await call('wfg_put_workflow', { p_workflow_id: 'one', p_definition })
  const started = await call('wfg_start_runs', { p_workflow_id: 'one', p_runs: [{}, {}] })
  assert.deepEqual(started.map((each) => each.ok), [true, true])

  const claims = await call('wfg_claim_jobs', { p_worker_id: 'js', p_labels: labels, p_limit: 5 })
  assert.equal(claims.length, 2)
  const p_reports = [...claims.map(({ lease }) => lease.lease_id), 'x'].map((lease_id) => ({ lease_id, outcome: 'success' }))
  const reported = await call('wfg_report_jobs', { p_reports })
  assert.deepEqual(reported.map((each) => each.message ?? each.run), ['success', 'success', 'lease_not_held'])
})

test('what is refused', async () => {
  const p_run_id = '01943a5c-0000-7000-8000-000000000000'
  assert.deepEqual(await refused('wfg_renew_lease', { p_lease_id: 'x' }), [409, 'PT409', 'lease_not_held'])
  assert.deepEqual(await refused('wfg_get_run', { p_run_id }, { get: true }), [404, 'PT404', 'run_not_found'])

  const nobody = { p_worker_id: '', p_labels: labels }
  assert.deepEqual(await refused('wfg_claim_job', nobody), [422, 'PT422', 'invalid_request'])

  const [status, code, message] = await refused('wfg_claim_job', { p_labels: labels })
  assert.deepEqual([status, code], [404, 'PGRST202'])
  assert.equal(message, 'Could not find the function public.wfg_claim_job(p_labels) in the schema cache')

  const soon = { p_worker_id: 'js', p_labels: labels, p_ttl_secs: 'soon' }
  assert.deepEqual((await refused('wfg_claim_job', soon)).slice(0, 2), [400, '22P02'])
  assert.deepEqual((await refused('wfg_reap', {}, { get: true })).slice(0, 2), [405, '25006'])
  assert.deepEqual((await refused('pg_sleep', { seconds: 1 })).slice(0, 2), [404, 'PGRST202'])
})

test('what else the client can ask for', async () => {
  assert.equal((await call('wfg_health')).status, 'ok')
  assert.deepEqual(await call('wfg_check', { p_all: true }), [])
  assert.deepEqual(await call('wfg_check', { p_all: true }, { get: true }), [])
  assert.equal(await call('wfg_health', {}, { head: true }), null)
  assert.equal((await client.rpc('wfg_get_run', { p_run_id: 'x' }, { head: true })).data, null)

  const one = await client.rpc('wfg_health').single()
  assert.equal(one.data.status, 'ok')
  await assert.rejects(async () => await client.rpc('wfg_renew_lease', { p_lease_id: 'x' }).throwOnError(), {
    name: 'PostgrestError',
    code: 'PT409',
    message: 'lease_not_held',
    details: 'There is no such lease.',
  })

  const stranger = await createClient(process.env.WFG_URL, 'wfg_unknown').rpc('wfg_health')
  assert.deepEqual([stranger.status, stranger.error.code, stranger.error.message], [401, 'PT401', 'token_invalid'])

  const elsewhere = await client.schema('wfg').rpc('claim', {})
  assert.deepEqual([elsewhere.status, elsewhere.error.code], [406, 'PGRST106'])
  const filtered = await client.rpc('wfg_check').eq('invariant', 'x')
  assert.deepEqual([filtered.status, filtered.error.code], [400, 'PGRST127'])
  const table = await client.from('jobs').select()
  assert.equal(table.status, 404)
})
