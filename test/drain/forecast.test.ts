import assert from 'node:assert/strict'
import test from 'node:test'
import { resolveOptions } from '../../lib/options/resolve.ts'
import { forecastOfLimit, withForecasts } from '../../lib/drain/forecast.ts'
import type { DrainOptions } from '../../lib/options/options.ts'
import { createRig } from '../helpers/drain-rig.ts'

/** The plan for so many connections, and a limit. */
function forecast (options: DrainOptions, connections: number, limit: number | false = false) {
  const { plan, drain } = resolveOptions({ drain: options })
  const input = { plan, ...drain }
  return withForecasts(input, connections, forecastOfLimit(input, limit))
}

const POD = { terminationGracePeriod: 30_000 }

test('a plan has no forecast for no connections, and one for the limit if there is one', () => {
  assert.deepEqual(forecast({}, 0).clients, [])
  assert.deepEqual(forecast({}, 0, 500).clients.map(({ connections }) => connections), [500])
  assert.deepEqual(forecast({}, 3, 500).clients.map(({ connections }) => connections), [3, 500])
})

test('a limit that no process reaches has no forecast: it would never end', () => {
  assert.deepEqual(forecast({}, 0, Number.MAX_SAFE_INTEGER).clients, [])
  assert.deepEqual(forecast(POD, 0, 1_000_000).clients.map(({ connections }) => connections), [1_000_000])
})

test('the forecast for the limit is made once', () => {
  const { drain } = createRig({ maxConnections: 500 })
  assert.equal(drain.plan.clients[0], drain.plan.clients[0])
})

test('where all turns come in time no client is told to wait', () => {
  assert.deepEqual(forecast(POD, 2_000).clients, [{
    connections: 2_000, lastBack: 9_995, delayed: 0, longestDelay: 0, what: 'clients (now): 2000; told to wait: none'
  }])
})

test('where they do not, the forecast says what to raise, and with that they do', () => {
  for (const [given, raise] of [
    [POD, (value: number) => ({ terminationGracePeriod: value })],
    [{ ...POD, preStop: 5_000 }, (value: number) => ({ terminationGracePeriod: value, preStop: 5_000 })],
    [{ timeout: 8_000, reconnect: { minDelay: 0 } }, (value: number) => ({ timeout: value, reconnect: { minDelay: 0 } })]
  ] as const) {
    const { delayed, longestDelay, what } = forecast(given, 0, 20_000).clients[0]!
    assert.ok(delayed > 0 && longestDelay > 0)
    const [, told, value, rate] = /^clients \(limits\.total\): 20000; told to wait: (\d+), \S+ s at most; to close all in their turns, raise drain\.\w+ to (\d+) or drain\.reconnect\.rate to (\d+)$/.exec(what)!
    assert.equal(Number(told), delayed)
    assert.equal(forecast(raise(Number(value)), 20_000).clients[0]!.delayed, 0)
    assert.notEqual(forecast(raise(Number(value) - 2_000), 20_000).clients[0]!.delayed, 0)
    assert.equal(forecast({ ...given, reconnect: { minDelay: 0, rate: Number(rate) } }, 20_000).clients[0]!.delayed, 0)
  }
})

test('with as many connections as the capacity no client is told to wait, with a few more some are', () => {
  for (const options of [POD, { ...POD, settleDelay: 5_000 }, { timeout: 4_000, reconnect: { minDelay: 0, rate: 1_234 } }]) {
    const capacity = forecast(options, 0).capacity!
    assert.ok(capacity > 1_000)
    assert.ok(forecast(options, capacity).clients[0]!.longestDelay < 100)
    const { longestDelay, what } = forecast(options, Math.ceil(capacity * 1.1)).clients[0]!
    assert.ok(longestDelay > 100 && what.includes('raise drain.'), what)
  }
})

test('without turns there is no capacity', () => {
  assert.deepEqual([false as const, 1_000].map((spread) => forecast({ ...POD, spread }, 0).capacity), [null, null])
})

test('delays that are asked for, or that are under 100 ms, are no reason to change anything', () => {
  assert.equal(forecast({ ...POD, spread: false }, 201).clients[0]!.what, 'clients (now): 201; told to wait: 200, 1 s at most')
  assert.equal(forecast({}, 1).clients[0]!.what, 'clients (now): 1; told to wait: 1, 1 s at most')
  assert.equal(forecast(POD, 3).clients[0]!.what, 'clients (now): 3; told to wait: 2, 0.01 s at most')
})

test('a plan as text has a line for each forecast', () => {
  const lines = String(forecast({ ...POD, settleDelay: 5_000 }, 201, 2_001)).split('\n')
  assert.deepEqual(lines.slice(-2), [
    '  back         5 s –     6 s  clients (now): 201; told to wait: none',
    '  back         5 s –    15 s  clients (limits.total): 2001; told to wait: none'
  ])
})

test('a drain does what the forecast says', async () => {
  for (const connections of [100, 1_000, 3_000]) {
    const rig = createRig({ spread: 'auto', reconnect: { minDelay: 0 }, maxConnections: 5_000 })
    rig.crowd(connections)
    const [now, limit] = rig.drain.plan.clients
    await rig.run()
    const back = rig.frames.map(({ at, retry }) => at + (retry || 0))
    const delayed = rig.frames.filter(({ retry }) => retry > 0).length
    assert.deepEqual([now!.connections, limit!.connections], [connections, 5_000])
    assert.ok(Math.abs(Math.max(...back) - now!.lastBack) <= 5, `${Math.max(...back)} instead of ${now!.lastBack}`)
    assert.ok(Math.abs(delayed - now!.delayed) <= 0.05 * connections, `${delayed} instead of ${now!.delayed}`)
  }
})
