import assert from 'node:assert/strict'
import test from 'node:test'
import type { FleetEngine, Pulse } from '../../lib/fleet/engine.ts'
import { GuardedEngine } from '../../lib/fleet/guarded-engine.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { makeFaulty, settle } from '../helpers/fleet-rig.ts'

const BEAT = { info: '', capacity: 1, lease: 6_000, settled: [], away: 0 }

function guard () {
  const clock = new FakeClock()
  const faulty = makeFaulty(new MemoryFleet(clock).engine(), clock)
  const told: string[] = []
  const engine = new GuardedEngine(faulty.engine, clock, {
    changed: (up) => { told.push(up ? 'up' : 'down') },
    refused: () => { told.push('refused') }
  })
  return { clock, faulty, engine, told }
}

/** A guard whose engine has answered. */
async function guardUp () {
  const rig = guard()
  await rig.engine.beat('a', BEAT)
  rig.told.length = 0
  rig.faulty.calls.length = 0
  return rig
}

/** Runs a call until it has settled; its outcome. */
async function outcome (clock: FakeClock, call: Promise<unknown>): Promise<{ code?: string, message?: string, cause?: unknown, after: number }> {
  const { value, after } = await settle(clock, call.then(() => ({}), ({ code, message, cause }: Error & { code: string }) => ({ code, message, cause })))
  return { ...value, after }
}

/** Every call but beats, with its deadline. */
const CALLS: Array<[name: string, call: (engine: GuardedEngine) => Promise<unknown>, deadline: number]> = [
  ['listen', (engine) => engine.listen('a', () => {}), 2_000],
  ['beat', (engine) => engine.beat('a', BEAT), 2_000],
  ['leave', (engine) => engine.leave('a'), 250],
  ['send', (engine) => engine.send(['a'], 'hello'), 250],
  ['order', (engine) => engine.order('a', '1', '{}', 'notice'), 250],
  ['label', (engine) => engine.label('a', [{ kind: 'owner', label: '42', count: 1, away: 0 }]), 250],
  ['find', (engine) => engine.find('owner', '42'), 250],
  ['take', (engine) => engine.take('a', [{ key: 'total', have: 0, want: 1, max: 5, oldest: null }]), 250],
  ['book', (engine) => engine.book('a', { clients: 1, from: 0, share: 0.8, ceiling: 100 } as never), 250]
]

for (const [name, call, deadline] of CALLS) {
  test(`${name}() of an engine that answers is passed on`, async () => {
    const { clock, faulty, engine } = await guardUp()
    const { code } = await outcome(clock, call(engine))
    assert.deepEqual([code, faulty.calls], [undefined, [name]])
    assert.equal(clock.pendingTimers, 0)
  })

  test(`${name}() that is not answered fails after its deadline, and the engine is down`, async () => {
    const { clock, faulty, engine, told } = await guardUp()
    faulty.fault = 'hang'
    const { code, message, after } = await outcome(clock, call(engine))
    assert.deepEqual([code, after, engine.up, told], ['SOCKETS_ERR_FLEET_UNAVAILABLE', deadline, false, ['down', 'refused']])
    assert.match(message!, new RegExp(`${name}\\(\\) was not answered within ${deadline} ms`))
  })

  for (const fault of ['refuse', 'throw'] as const) {
    test(`${name}() of an engine that ${fault}s fails with one code, and what the engine has said as its cause`, async () => {
      const { clock, faulty, engine, told } = await guardUp()
      faulty.fault = fault
      const { code, cause, after } = await outcome(clock, call(engine))
      assert.deepEqual([code, after], ['SOCKETS_ERR_FLEET_UNAVAILABLE', 0])
      assert.match((cause as Error).message, new RegExp(`^${name} `))
      // A beat decides whether it is down.
      assert.deepEqual([engine.up, told], name === 'beat' ? [false, ['down', 'refused']] : [true, ['refused']])
    })
  }
}

test('while the engine is down only calls that may revive it, or end it, are tried', async () => {
  const { clock, faulty, engine } = guard()
  const codes: Array<string | undefined> = []
  for (const [, call] of CALLS.filter(([name]) => name !== 'beat')) codes.push((await outcome(clock, call(engine))).code)
  assert.deepEqual(faulty.calls, ['listen', 'leave'])
  assert.deepEqual(codes, [undefined, undefined, ...new Array<string>(6).fill('SOCKETS_ERR_FLEET_UNAVAILABLE')])
})

test('an engine that answers late does not go up: nothing waits for it', async () => {
  const { clock, faulty, engine, told } = guard()
  faulty.lag = 500
  const { code, after } = await outcome(clock, engine.beat('a', BEAT))
  assert.deepEqual([code, after, engine.up, told], [undefined, 500, false, []])
  faulty.lag = 100
  await outcome(clock, engine.beat('a', BEAT))
  assert.deepEqual([engine.up, told], [true, ['up']])
  // A late beat does not take it down: this process may have been late.
  faulty.lag = 500
  await outcome(clock, engine.beat('a', BEAT))
  assert.deepEqual([engine.up, told], [true, ['up']])
})

test('an answer that has arrived while this process stood still counts', async () => {
  const { clock, engine } = await guardUp()
  const promise = engine.find('owner', '42')
  const slow = guardWith({ find: () => new Promise((resolve) => { slow.clock.input(() => { resolve({ nodes: [], expectedBack: null }) }) }) })
  await slow.engine.beat('a', BEAT)
  const found = slow.engine.find('owner', '42')
  // The answer has arrived, the timer is due, and nothing was read yet.
  slow.clock.stall(10_000)
  await slow.clock.run(1)
  assert.deepEqual(await found, { nodes: [], expectedBack: null })
  await clock.run(1)
  await promise
})

test('an answer after the deadline is dropped, and a rejection too', async () => {
  const { clock, faulty, engine } = await guardUp()
  faulty.lag = 1_000
  assert.equal((await outcome(clock, engine.find('owner', '42'))).code, 'SOCKETS_ERR_FLEET_UNAVAILABLE')
  await clock.run(2_000)
  const rejects = guardWith({ find: () => new Promise((_resolve, reject) => { rejects.clock.setTimeout(() => { reject(new Error('late')) }, 1_000) }) })
  await rejects.engine.beat('a', BEAT)
  assert.equal((await outcome(rejects.clock, rejects.engine.find('owner', '42'))).code, 'SOCKETS_ERR_FLEET_UNAVAILABLE')
  await rejects.clock.run(2_000)
})

/** A guard over an engine with some methods of its own. */
function guardWith (methods: Partial<Record<keyof FleetEngine, (...args: never) => unknown>>) {
  const clock = new FakeClock()
  const engine = new GuardedEngine(Object.assign(new MemoryFleet(clock).engine(), methods), clock, { changed: () => {}, refused: () => {} })
  return { clock, engine }
}

const NO_PULSE: unknown[] = [undefined, null, 1, 'OK', {}, { now: 1 }, { now: 'x', nodes: [], lost: [], orders: [], offline: [] }, { now: NaN, nodes: [], lost: [], orders: [], offline: [] }, { now: 1, nodes: null, lost: [], orders: [], offline: [] },
  ...[{ nodes: [null] }, { nodes: [{ id: 1, info: '', capacity: 1, silent: 0 }] }, { lost: [{ id: 'a', info: '', capacity: '1', silent: 0 }] }, { lost: ['a'] }, { orders: [['1']] }, { orders: [{}] }, { offline: [1] }].map((wrong) => ({ now: 1, nodes: [], lost: [], orders: [], offline: [], ...wrong }))]

test('an answer of another shape is no answer', async () => {
  for (const answer of NO_PULSE) {
    const { clock, engine } = guardWith({ beat: () => answer as Pulse })
    assert.equal((await outcome(clock, engine.beat('a', BEAT))).code, 'SOCKETS_ERR_FLEET_UNAVAILABLE', JSON.stringify(answer))
    assert.equal(engine.up, false)
  }
  for (const answer of [undefined, null, [], 'OK', {}, [{}, {}], { nodes: [1], online: [1], offline: [], seconds: ['1'] }, { nodes: [['a']], online: [], offline: [{}], seconds: [NaN] }]) {
    const { clock, engine } = guardWith({ find: () => answer, label: () => answer, take: () => answer, book: () => answer })
    await engine.beat('a', BEAT)
    for (const [name, call] of CALLS.filter(([each]) => ['find', 'label', 'take', 'book'].includes(each))) {
      assert.equal((await outcome(clock, call(engine))).code, 'SOCKETS_ERR_FLEET_UNAVAILABLE', `${name} ${JSON.stringify(answer)}`)
    }
  }
})

test('an answer that cannot be read is no answer', async () => {
  const { clock, engine } = guardWith({ beat: () => ({ get nodes () { throw new Error('not to be read') } }) })
  const { code, after } = await outcome(clock, engine.beat('a', BEAT))
  assert.deepEqual([code, after, engine.up], ['SOCKETS_ERR_FLEET_UNAVAILABLE', 0, false])
})

test('a thenable that throws, or settles twice, is one failure', async () => {
  const { clock, engine } = guardWith({
    find: () => ({ then: () => { throw new Error('no promise') } }),
    send: () => ({ then: (resolve: () => void, reject: (error: Error) => void) => { reject(new Error('first')); resolve() } })
  })
  await engine.beat('a', BEAT)
  assert.equal((await outcome(clock, engine.find('owner', '42'))).code, 'SOCKETS_ERR_FLEET_UNAVAILABLE')
  assert.equal((await outcome(clock, engine.send(['a'], 'x'))).code, 'SOCKETS_ERR_FLEET_UNAVAILABLE')
})

test('the end of an engine never fails, and is bounded', async () => {
  for (const fault of ['none', 'hang', 'refuse', 'throw'] as const) {
    const { clock, faulty, engine } = guard()
    faulty.fault = fault
    const { code, after } = await outcome(clock, engine.close())
    assert.deepEqual([code, after], [undefined, fault === 'hang' ? 2_000 : 0])
  }
})

test('handed-over states wait in the store of the engine', () => {
  const clock = new FakeClock()
  const memory = new MemoryFleet(clock)
  assert.equal(new GuardedEngine(memory.engine(), clock, { changed: () => {}, refused: () => {} }).handovers, memory.handovers)
})
