import assert from 'node:assert/strict'
import test from 'node:test'
import type { Beat, FleetEngine } from '../../lib/fleet/engine.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { memoryGround } from '../helpers/memory-ground.ts'
import { contract } from './contract.ts'

contract('in memory', () => memoryGround())

const BEAT: Beat = { info: '', capacity: 0, lease: 6000, settled: [], away: 15_000 }

function rig (): { clock: FakeClock, fleet: MemoryFleet, a: FleetEngine, b: FleetEngine } {
  const clock = new FakeClock()
  const fleet = new MemoryFleet(clock)
  return { clock, fleet, a: fleet.engine(), b: fleet.engine() }
}

test('a lease ends at its end, and not a millisecond before', async () => {
  const { clock, a, b } = rig()
  await a.beat('a', BEAT)
  clock.tick(5999)
  assert.deepEqual((await b.beat('b', BEAT)).lost, [])
  clock.tick(1)
  assert.deepEqual((await b.beat('b', BEAT)).lost, [{ id: 'a', info: '', capacity: 0, silent: 6000 }])
})

test('a time away ends at its end, and not a millisecond before', async () => {
  const { clock, a } = rig()
  await a.beat('a', BEAT)
  await a.label('a', [{ kind: 'owner', label: 'x', count: 0, away: 500 }])
  clock.tick(499)
  assert.deepEqual((await a.find('owner', 'x')).expectedBack, 1)
  assert.deepEqual((await a.beat('a', BEAT)).offline, [])
  clock.tick(1)
  assert.deepEqual((await a.beat('a', BEAT)).offline, ['x'])
})

test('an owner that comes back after its time, but before a beat, has not been offline', async () => {
  const { clock, a } = rig()
  await a.beat('a', BEAT)
  await a.label('a', [{ kind: 'owner', label: 'x', count: 0, away: 500 }])
  clock.tick(600)
  assert.equal((await a.find('owner', 'x')).expectedBack, 0)
  const { online, offline } = await a.label('a', [{ kind: 'owner', label: 'x', count: 1, away: 0 }])
  assert.deepEqual([online, offline], [[], []])
  assert.deepEqual((await a.beat('a', BEAT)).offline, [])
})

test('the fleet in memory has no timer, and messages wait for the event loop', async () => {
  const { clock, a, b } = rig()
  const heard: string[] = []
  await b.listen('b', (message) => { heard.push(message) })
  await a.beat('a', BEAT)
  await a.send(['b'], 'x')
  assert.deepEqual(heard, [])
  clock.tick()
  assert.deepEqual(heard, ['x'])
  await b.close()
  assert.ok(clock.idle)
})

test('a message on its way to a node that closes is not heard', async () => {
  const { clock, a, b } = rig()
  await b.listen('b', () => { assert.fail('heard') })
  await a.send(['b'], 'x')
  await b.close()
  clock.tick()
})
