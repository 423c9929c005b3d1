/**
 * Whether policies act: what is only observed is counted, told as an event, and summed up once a minute.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { POLICIES } from '../../lib/track/observation.ts'
import type { Observation } from '../../lib/track/observation.ts'
import { createFakeHost } from '../helpers/fake-host.ts'
import type { FakeHostOptions } from '../helpers/fake-host.ts'

function setup (options?: FakeHostOptions) {
  const host = createFakeHost(options)
  const observations: Observation[] = []
  host.events.on('observed', (observation) => { observations.push(observation) })
  return { host, observations, ...host }
}

for (const policy of POLICIES) {
  test(`${policy} acts, or only observes`, () => {
    const acting = setup()
    assert.equal(acting.enforcement.enforces(policy), true)
    assert.equal(acting.enforcement.allows(policy, 'close'), true)
    assert.deepEqual([acting.observations, acting.enforcement.observed, acting.running.size], [[], {}, 0])
    const { host, observations, enforcement } = setup({ observe: [policy] })
    const { connection } = host.connect()
    assert.equal(enforcement.enforces(policy), false)
    assert.equal(enforcement.allows(policy, 'evict', connection), false)
    assert.equal(enforcement.allows(policy, 'refuse', undefined, '/chat'), false)
    assert.deepEqual(observations, [{ policy, action: 'evict', connection, path: undefined }, { policy, action: 'refuse', connection: undefined, path: '/chat' }])
    assert.deepEqual(enforcement.observed, { [policy]: 2 })
    for (const other of POLICIES) assert.equal(enforcement.enforces(other), other !== policy)
  })
}

test('asking whether a policy acts tells nothing', () => {
  const { enforcement, observations } = setup({ observe: ['idle'] })
  enforcement.enforces('idle')
  assert.deepEqual([observations, enforcement.observed], [[], {}])
})

test('one summary a minute says how often each would have acted, and begins anew', async () => {
  const { host, enforcement, clock, summaries } = setup({ observe: ['idle', 'total', 'origin'] })
  for (let i = 0; i < 1_000; i++) enforcement.allows('total', 'refuse')
  enforcement.allows('idle', 'close')
  await clock.run(59_900)
  assert.deepEqual(summaries, [])
  await clock.run(200)
  assert.deepEqual(summaries, [{ total: 1_000, idle: 1 }])
  enforcement.allows('origin', 'refuse')
  await clock.run(60_100)
  assert.deepEqual(summaries, [{ total: 1_000, idle: 1 }, { origin: 1 }])
  assert.deepEqual(enforcement.observed, { total: 1_000, idle: 1, origin: 1 })
  assert.equal(host.leftovers, 0)
})

test('where nothing happens nothing is summed up, and no deadline is set', async () => {
  const { clock, summaries, running } = setup({ observe: ['idle'] })
  assert.equal(running.size, 0)
  await clock.run(600_000)
  assert.deepEqual(summaries, [])
})

test('what was not summed up yet is at the end, once, and no deadline is left', async () => {
  const { host, enforcement, clock, summaries } = setup({ observe: ['idle'] })
  enforcement.allows('idle', 'close')
  enforcement.close()
  enforcement.close()
  assert.deepEqual([summaries, host.leftovers], [[{ idle: 1 }], 0])
  await clock.run(120_000)
  assert.equal(summaries.length, 1)
})

test('a listener that throws does not make a policy act', () => {
  const { host, enforcement } = setup({ observe: ['idle'] })
  host.events.on('observed', () => { throw new Error('gotcha') })
  assert.equal(enforcement.allows('idle', 'close'), false)
  assert.equal(host.hookFailures.length, 1)
})
