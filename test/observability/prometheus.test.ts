/**
 * A real Prometheus scrapes a real server: it has every metric that the dashboard and the alerts name, and answers all their queries.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import test from 'node:test'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import metrics from '../../lib/show/metrics/index.ts'
import { createFleet } from '../../lib/testing/create-fleet.ts'
import { locate, missing } from '../helpers/optional.ts'
import { connect, portOf, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'
import { alerts, FOLDER, metricsIn, queries } from './promql.ts'

/** A server of which each metric has something to say, and one beside it that answers its registry, in a drain too. */
async function startServer (t: TestContext): Promise<{ app: TestApp, port: number }> {
  const register = new Registry()
  const app = await start(t, {
    heartbeat: { interval: 1_000 },
    limits: { perAddress: { max: 1 } },
    drain: { timeout: 600_000 },
    mode: { perAddress: 'observe' },
    allowedOrigins: 'same-origin',
    fleet: createFleet()
  }, async (app) => {
    await app.register(metrics, { register })
    app.get('/echo', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(data) }) })
    app.get('/broken', { websocket: true }, (socket) => { socket.on('message', () => { throw new Error('broken') }) })
  })
  const admin = Fastify()
  t.after(() => admin.close())
  admin.get('/metrics', async (_request, reply) => reply.type(register.contentType).send(await register.metrics()))
  await admin.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: portOf(admin) }
}

/** A Prometheus that scrapes four times a second. */
async function startPrometheus (t: TestContext, port: number) {
  const folder = mkdtempSync(join(tmpdir(), 'prometheus-'))
  writeFileSync(join(folder, 'prometheus.json'), JSON.stringify({
    global: { scrape_interval: '250ms', scrape_timeout: '250ms', evaluation_interval: '250ms' },
    rule_files: [join(FOLDER, 'alerts.yml')],
    scrape_configs: [{ job_name: 'chat', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }]
  }))
  const child = spawn(locate('prometheus')!, [`--config.file=${join(folder, 'prometheus.json')}`, `--storage.tsdb.path=${join(folder, 'data')}`, '--web.listen-address=127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(folder, { recursive: true })
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => { log += text })
  const address = () => /msg="Listening on" address=(\S+)/.exec(log)?.[1]
  await until(() => address() !== undefined || child.exitCode !== null, 'Prometheus')
  assert.equal(child.exitCode, null, log)
  // It listens before it can answer.
  while ((await fetch(`http://${address()}/-/ready`)).status !== 200) await new Promise((resolve) => { setTimeout(resolve, 20) })
  return async function get<T> (path: string): Promise<T> {
    const answer = await fetch(`http://${address()}/api/v1/${path}`)
    const body = await answer.json() as { status: string, data: T }
    assert.equal(body.status, 'success', `${path}: ${JSON.stringify(body)}`)
    return body.data
  }
}

test('Prometheus has every metric of dashboard and alerts, and answers their queries', { skip: missing('prometheus') }, async (t) => {
  const { app, port } = await startServer(t)
  const get = await startPrometheus(t, port)
  const query = async (expr: string) => (await get<{ result: Array<{ value: [time: number, value: string] }> }>(`query?query=${encodeURIComponent(expr)}`)).result
  /** Waits for an answer: on a busy machine a scrape may fail, and the series are gone until the next. */
  const seen = async (expr: string) => {
    const deadline = performance.now() + 60_000
    while ((await query(expr)).length === 0) {
      assert.ok(performance.now() < deadline, `no answer to ${expr}`)
      await new Promise((resolve) => { setTimeout(resolve, 50) })
    }
  }
  await seen('ws_connections_opened_total == 0')

  const peer = await connect(t, app, '/echo')
  peer.send('hello')
  await peer.next()
  await app.sockets.broadcast('news', 'all')
  const other = await connect(t, app, '/broken')
  app.sockets.list({ route: '/broken' })[0]!.defer(() => {})
  other.send('hello')
  await other.closed
  await assert.rejects(connect(t, app, '/echo', { origin: 'https://example.com' }))
  await seen('ws_rtt_seconds_count > 0')
  await seen('ws_connections_closed_total{cause="error"} == 1')
  const leaving = await connect(t, app, '/echo')
  await leaving.close(1001)
  await seen('ws_connections_closed_total{cause="client"} == 1')

  let finish!: () => void
  void app.sockets.list()[0]!.track(new Promise<void>((resolve) => { finish = resolve }))
  const drained = app.sockets.drain()
  await seen('ws_drain_phase > 0 and ws_drain_remaining_seconds > 0')

  const scraped = await get<string[]>('label/__name__/values')
  const named = [...queries, ...alerts].flatMap(({ expr }) => metricsIn(expr))
  assert.deepEqual(named.filter((name) => !scraped.includes(name)), [])
  for (const { expr } of queries) await seen(expr)
  await seen('sum(ws_messages_total{direction="received"}) == 2')
  const { groups } = await get<{ groups: Array<{ rules: Array<{ name: string, health: string }> }> }>('rules')
  assert.deepEqual(groups.flatMap(({ rules }) => rules.map(({ name }) => name)), alerts.map(({ alert }) => alert))
  assert.deepEqual(groups.flatMap(({ rules }) => rules.filter(({ health }) => health === 'err')), [])

  finish()
  await Promise.all([drained, peer.closed])
})

test('promtool has nothing to say about a scrape', { skip: missing('promtool') }, async (t) => {
  const { port } = await startServer(t)
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const child = spawn(locate('promtool')!, ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => { output += part })
  child.stdin.end(text)
  assert.deepEqual(await once(child, 'close'), [0, null], output)
  assert.equal(output, '')
})
