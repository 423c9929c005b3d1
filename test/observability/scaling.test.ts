/**
 * The rules for scaling: a rolling deploy of real servers with real clients, on a clock that the test moves, does not change the
 * number of pods that the autoscaler of Kubernetes asks for.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import test from 'node:test'
import { Registry } from 'prom-client'
import { parse, parseAllDocuments } from 'yaml'
import metrics from '../../lib/show/metrics/index.ts'
import { createClock } from '../../lib/testing/clock.ts'
import type { TestClock } from '../../lib/testing/clock.ts'
import { connect, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'
import { valuesIn } from '../show/metrics/fake-stats.ts'
import { FOLDER, metricsIn } from './promql.ts'

const PODS = 3
/** Clients of a pod: in the simulation the target. */
const CLIENTS = 30
/** Most that a client is told to wait, milliseconds. */
const MAX_DELAY = 60_000
/** Between two looks of the autoscaler, milliseconds; Kubernetes has 15 s. */
const STEP = 1_000
/** Kubernetes changes nothing within this distance of the target. */
const TOLERANCE = 0.1

interface Hpa { spec: { metrics: Array<{ external: { metric: { name: string }, target: { averageValue: string } } }>, behavior: { scaleDown: { stabilizationWindowSeconds: number } } } }
interface Keda { spec: { advanced: { horizontalPodAutoscalerConfig: { behavior: Hpa['spec']['behavior'] } }, triggers: Array<{ metricType: string, metadata: { query: string, threshold: string } }> } }

const [hpa, adapter] = parseAllDocuments(readFileSync(join(FOLDER, 'hpa.yml'), 'utf8')).map((document) => document.toJS() as unknown) as [Hpa, { rules: { external: Array<{ name: { as: string }, metricsQuery: string }> } }]
const keda = parse(readFileSync(join(FOLDER, 'keda.yml'), 'utf8')) as Keda

test('both rules follow the same sum, and wait longer than clients do before they scale down', () => {
  const [trigger] = keda.spec.triggers
  const [{ external }] = hpa.spec.metrics as [Hpa['spec']['metrics'][number]]
  const [rule] = adapter.rules.external
  assert.equal(trigger!.metadata.query, rule!.metricsQuery)
  assert.deepEqual([rule!.name.as, ...metricsIn(trigger!.metadata.query)], [external.metric.name, 'ws_connections_expected'])
  assert.deepEqual([trigger!.metricType, trigger!.metadata.threshold], ['AverageValue', external.target.averageValue])
  for (const { scaleDown } of [hpa.spec.behavior, keda.spec.advanced.horizontalPodAutoscalerConfig.behavior]) assert.ok(scaleDown.stabilizationWindowSeconds * 1_000 >= MAX_DELAY)
})

/** The algorithm of the autoscaler, without the window for scaling down, which would hide what the sum does. */
function desired (sum: number, pods: number): number {
  return Math.abs(sum / (CLIENTS * pods) - 1) <= TOLERANCE ? pods : Math.ceil(sum / CLIENTS)
}

interface Pod { app: TestApp, register: Registry, terminating: boolean }

async function startPod (t: TestContext, clock: TestClock): Promise<Pod> {
  const register = new Registry()
  const app = await start(t, { clock, drain: { terminationGracePeriod: 30_000, reconnect: { rate: 10, maxDelay: MAX_DELAY } } }, async (app) => {
    await app.register(metrics, { register })
    app.get('/', { websocket: true }, () => {})
  })
  return { app, register, terminating: false }
}

test('a rolling deploy does not move the number of pods; the average of running pods would', async (t) => {
  // Its time passes in this test: clients are closed in turns, as on a clock of the system.
  const clock = Object.assign(createClock(), { firesTimers: () => true })
  let pods = await Promise.all(Array.from({ length: PODS }, () => startPod(t, clock)))
  let turn = 0
  /** Connects to the next pod that runs; comes back when it was told to. */
  const join = async (): Promise<void> => {
    const running = pods.filter(({ terminating }) => !terminating)
    const client = await connect(t, running[turn++ % running.length]!.app, '/')
    void client.closed.then(({ code, reason }) => {
      if (code !== 1012) return
      const delay = Number(/retry=(\d+)/.exec(reason)?.[1] ?? 0)
      if (delay === 0) void join()
      else clock.setTimeout(() => { void join() }, delay)
    })
  }
  for (let client = 0; client < PODS * CLIENTS; client++) await join()

  const sums: number[] = []
  const recommended = new Set<number>()
  const recommendedByAverage = new Set<number>()
  const look = async () => {
    const scrapes = await Promise.all(pods.map(async ({ register, terminating }) => ({ terminating, expected: valuesIn(await register.metrics()).get('ws_connections_expected') ?? 0 })))
    const sum = scrapes.reduce((total, { expected }) => total + expected, 0)
    const running = scrapes.filter(({ terminating }) => !terminating)
    sums.push(sum)
    recommended.add(desired(sum, PODS))
    recommendedByAverage.add(desired(running.reduce((total, { expected }) => total + expected, 0), PODS))
  }
  await look()
  for (const old of [...pods]) {
    pods.push(await startPod(t, clock))
    old.terminating = true
    const closing = old.app.close()
    while (old.app.sockets.state !== 'drained') {
      await clock.tick(STEP)
      await look()
    }
    await closing
    pods = pods.filter((pod) => pod !== old)
    await clock.tick(STEP)
    await look()
  }
  assert.ok(sums.length > 10, `${sums.length} looks`)
  assert.deepEqual([...recommended], [PODS], `the sums were ${sums.join(', ')}`)
  assert.ok(recommendedByAverage.size > 1)
  await until(() => pods.reduce((total, { app }) => total + app.sockets.size, 0) === PODS * CLIENTS, 'all clients')
})
