import assert from 'node:assert/strict'
import test from 'node:test'
import { Hooks } from '../../lib/connection/hooks.ts'
import type { FleetPart } from '../../lib/fleet/core.ts'
import type { FleetHost } from '../../lib/fleet/host.ts'
import { ManagedCore } from '../../lib/fleet/managed-core.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import { writeMessage } from '../../lib/fleet/messages.ts'
import { FleetReporter } from '../../lib/fleet/reporter.ts'
import { LogLimiter } from '../../lib/base/log-limiter.ts'
import type { Act } from '../../lib/track/audit.ts'
import { Registry } from '../../lib/track/registry.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { FakeHost } from '../helpers/fake-host.ts'
import { makeFaulty } from '../helpers/fleet-rig.ts'
import { createLog } from '../helpers/tracker-rig.ts'

/** A core with parts of the test, which has not started. */
function makeCore (parts: FleetPart[] = [], memory?: MemoryFleet, clock = new FakeClock()) {
  const shared = memory ?? new MemoryFleet(clock)
  const faulty = makeFaulty(shared.engine(), clock)
  const log = createLog()
  const limiter = new LogLimiter(clock, log.log)
  const acts: Act[] = []
  const failed: unknown[] = []
  // What parts of the plugin need beside the core is left out: there are none here.
  const host = {
    clock,
    registry: new Registry({ size: 0, owner: false, ip: false }),
    hooks: new Hooks(),
    mover: new FakeHost().mover,
    reporter: new FleetReporter(log.log, limiter, 'info'),
    channels: { hears: () => false, publish: () => {} },
    reconnectRate: 50,
    expected: () => 0,
    draining: () => false,
    broadcast: () => Promise.resolve({ sent: 0, queued: 0, dropped: 0 }),
    explain: () => [],
    audited: (act: Act) => { acts.push(act) },
    listenerFailed: (...args: unknown[]) => { failed.push(args) }
  } as Partial<FleetHost> as FleetHost
  const core = new ManagedCore(host, faulty.engine)
  core.take(parts)
  return { core, clock, memory: shared, faulty, acts, failed, limiter, ...log }
}

/** Lets time pass while a promise settles. */
async function whileRunning<T> (clock: FakeClock, promise: Promise<T>, time = 0): Promise<T> {
  promise.catch(() => {})
  await clock.run(time)
  return await promise
}

test('a part adds to what the node says, and to its beats', async () => {
  const beats: unknown[] = []
  const { core, clock, memory } = makeCore([
    { info: () => ({ places: 3 }), settled: () => ['1', '2'] },
    { info: () => ({ orders: 4 }), settled: () => ['3'], capacity: () => 7 },
    {}
  ])
  const { beat } = memory
  memory.beat = (node, said) => {
    beats.push({ ...said, info: JSON.parse(said.info) as object })
    return Reflect.apply(beat, memory, [node, said]) as ReturnType<typeof beat>
  }
  await whileRunning(clock, core.start())
  assert.deepEqual(beats, [{
    info: { version: '0.1.0', state: 'running', connections: 0, expected: 0, places: 3, orders: 4 },
    capacity: 7,
    settled: ['1', '2', '3'],
    away: 15_000,
    lease: 6_000
  }])
  assert.deepEqual(core.nodes.get(core.node)!.info['places'], 3)
})

test('a part hears that the node has joined before it hears of the beat, and joins anew with it', async () => {
  const heard: string[] = []
  const { core, clock, memory } = makeCore([{ joined: () => { heard.push('joined') }, beaten: ({ joined }) => { heard.push(`beaten ${joined}`) } }])
  await whileRunning(clock, core.start())
  await clock.run(2_000)
  memory.clear()
  await clock.run(2_000)
  assert.deepEqual(heard, ['joined', 'beaten true', 'beaten false', 'joined', 'beaten true'])
})

test('a call that is refused because the node is no member makes it join at once', async () => {
  const heard: string[] = []
  const { core, clock, memory } = makeCore([{ joined: () => { heard.push('joined') } }])
  await whileRunning(clock, core.start())
  await clock.run(1_000)
  memory.clear()
  const places = [{ key: 'total', have: 0, want: 1, max: 5, oldest: null }]
  await assert.rejects(whileRunning(clock, core.engine.take(core.node, places)), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE' })
  await clock.run(1)
  assert.deepEqual([heard, core.up], [['joined', 'joined'], true])
  assert.deepEqual(await whileRunning(clock, core.engine.take(core.node, places)), [{ given: 1, oldestAt: null }])
})

test('a part hears messages and is asked questions of its types; what it throws or rejects with is no answer', async () => {
  const clock = new FakeClock()
  const memory = new MemoryFleet(clock)
  const heard: unknown[] = []
  const part: FleetPart = {
    hears: { greet: (body, from) => { heard.push([body, from]) }, throws: () => { throw new Error('no') } },
    answers: {
      now: (body) => ({ asked: body }),
      later: () => new Promise((resolve) => { clock.setTimeout(() => { resolve('later') }, 100) }),
      throws: () => { throw new Error('no') },
      rejects: () => Promise.reject(new Error('no')),
      never: () => new Promise(() => {})
    }
  }
  const a = makeCore([part], memory, clock)
  const b = makeCore([part], memory, clock)
  await Promise.all([a.core.start(), b.core.start(), clock.flush()])
  await clock.run(2_000)
  await whileRunning(clock, a.core.send([b.core.node], 'greet', { hello: 1 }))
  await whileRunning(clock, a.core.send([b.core.node], 'throws', {}))
  assert.deepEqual([heard, b.core.ignored], [[[{ hello: 1 }, a.core.node]], 1])
  const both = [a.core.node, b.core.node].sort()
  for (const [type, answer] of [['now', { asked: { x: 1 } }], ['later', 'later']] as const) {
    const { answers, missing } = await whileRunning(clock, a.core.ask(type, { x: 1 }), 100)
    assert.deepEqual([[...answers].sort(), missing], [both.map((node) => [node, answer]), []])
  }
  for (const type of ['throws', 'rejects', 'never', 'unheard']) {
    const { answers, missing } = await whileRunning(clock, a.core.ask(type, {}), 250)
    assert.deepEqual([[...answers], missing.map(({ node, state }) => [node, state]).sort()], [[], both.map((node) => [node, 'silent'])], type)
  }
  // Nodes that are named, and this one is not among them.
  assert.deepEqual([...(await whileRunning(clock, a.core.ask('now', {}, [b.core.node]))).answers.keys()], [b.core.node])
  assert.deepEqual([...(await whileRunning(clock, a.core.ask('now', {}, []))).answers.keys()], [])
  await whileRunning(clock, a.core.send([], 'greet', {}))
})

test('a part hears of nodes that have said that they leave', async () => {
  const clock = new FakeClock()
  const memory = new MemoryFleet(clock)
  const heard: string[] = []
  const a = makeCore([{ left: ({ id }) => { heard.push(id) } }], memory, clock)
  const [b, c] = [makeCore([], memory, clock), makeCore([], memory, clock)]
  await Promise.all([a.core.start(), b.core.start(), c.core.start(), clock.flush()])
  await clock.run(2_000)
  await Promise.all([b.core.close(), clock.flush()])
  c.faulty.fault = 'hang'
  await clock.run(8_000)
  assert.deepEqual([heard, a.core.nodes.size], [[b.core.node], 1])
})

test('the time of the engine is that of its beats and of this clock', async () => {
  const { core, clock, memory, faulty } = makeCore()
  const { beat } = memory
  let ahead = 1_000_000
  memory.beat = (node, said) => ({ ...Reflect.apply(beat, memory, [node, said]) as ReturnType<typeof beat>, now: ahead + clock.now() })
  faulty.delay = 40
  faulty.lag = 40
  await whileRunning(clock, core.start(), 400)
  assert.equal(core.now(), 1_000_000 + clock.now())
  clock.pass(500)
  assert.equal(core.now(), 1_000_000 + clock.now())
  // An answer that is late for one way only is no reason to doubt it.
  Object.assign(faulty, { delay: 0, lag: 1_200 })
  await clock.run(5_000)
  assert.equal(core.now(), 1_000_000 + clock.now())
  // After a failover the clock of the engine may be another.
  ahead = 500_000
  Object.assign(faulty, { delay: 40, lag: 0 })
  await clock.run(5_000)
  assert.ok(Math.abs(core.now() - ahead - clock.now()) <= 40)
})

test('before the first beat, and after one that has failed, what needs the engine rejects', async () => {
  const { core, clock, faulty } = makeCore()
  await assert.rejects(core.ready(), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE', message: /has not joined yet/ })
  assert.equal(core.up, false)
  faulty.lag = 100
  void core.start()
  // A question waits for the beat that is under way.
  assert.deepEqual([...(await whileRunning(clock, core.ask('unheard', {}, []), 300)).answers], [])
  faulty.fault = 'hang'
  await clock.run(6_000)
  await assert.rejects(whileRunning(clock, core.ready(), 250), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE', message: /does not answer/ })
})

test('an engine that does not answer holds the start for 2 seconds, is logged once, and joined when it answers', async () => {
  const { core, clock, faulty, lines } = makeCore()
  faulty.fault = 'hang'
  let started = -1
  void core.start().then(() => { started = clock.now() })
  const begun = clock.now()
  await clock.run(20_000)
  assert.equal(started - begun, 2_000)
  assert.deepEqual(lines.map(({ level, message }) => `${level} ${message}`), ['warn fleet: this node has started without its fleet, and goes on trying to join'])
  faulty.fault = 'none'
  await clock.run(4_000)
  assert.equal(core.up, true)
  assert.deepEqual(lines.slice(1).map(({ level, message }) => `${level} ${message}`), ['info fleet: the engine answers again', 'info fleet: this node has joined'])
})

test('an outage is logged with its error, and its end', async () => {
  const { core, clock, faulty, lines } = makeCore()
  await whileRunning(clock, core.start())
  faulty.fault = 'refuse'
  await clock.run(10_000)
  faulty.fault = 'none'
  await clock.run(4_000)
  assert.deepEqual(lines.map(({ level, message }) => `${level} ${message}`), ['info fleet: this node has joined', 'error fleet: the engine does not answer', 'info fleet: the engine answers again'])
  assert.match(String(lines[1]!.fields['err']), /beat was refused|send was refused/)
})

test('an engine that goes up and down is not logged each time', async () => {
  const { core, clock, faulty, lines } = makeCore()
  await whileRunning(clock, core.start())
  for (let i = 0; i < 40; i++) {
    faulty.fault = i % 2 === 0 ? 'refuse' : 'none'
    core.beat()
    await clock.run(250)
  }
  assert.ok(lines.filter(({ level }) => level === 'error').length <= 10)
})

test('a closing node writes its last, leaves, and ends its engine, its timers and its parts', async () => {
  const heard: string[] = []
  const { core, clock, memory, faulty } = makeCore([{ leaving: async () => { heard.push(`leaving ${faulty.calls.includes('leave')}`) }, close: () => { heard.push('close') } }])
  await whileRunning(clock, core.start())
  faulty.calls.length = 0
  await whileRunning(clock, core.close())
  assert.deepEqual([heard, faulty.calls, clock.pendingTimers, memory.size], [['leaving false', 'close'], ['leave', 'close'], 0, 0])
  await clock.run(20_000)
  assert.deepEqual(faulty.calls, ['leave', 'close'])
})

test('a part that cannot write its last keeps the node from leaving: its lease ends', async () => {
  const clock = new FakeClock()
  const memory = new MemoryFleet(clock)
  const a = makeCore([], memory, clock)
  const b = makeCore([{ leaving: () => Promise.reject(new Error('no')) }], memory, clock)
  await Promise.all([a.core.start(), b.core.start(), clock.flush()])
  b.faulty.calls.length = 0
  await whileRunning(clock, b.core.close())
  assert.deepEqual([b.faulty.calls.includes('leave'), b.faulty.calls.at(-1)], [false, 'close'])
  const heard: string[] = []
  a.core.events.on('lost', ({ id }) => { heard.push(id) })
  await clock.run(10_000)
  a.limiter.close()
  // That of the next beat of a.
  assert.deepEqual([heard, clock.pendingTimers], [[b.core.node], 1])
})

test('the end is bounded, whatever hangs', async () => {
  for (const part of [{}, { leaving: () => new Promise<void>(() => {}) }]) {
    const { core, clock, faulty, limiter } = makeCore([part])
    await whileRunning(clock, core.start())
    faulty.fault = 'hang'
    let closed = false
    void core.close().then(() => { closed = true })
    // One deadline for all of it.
    await clock.run(2_010)
    assert.equal(closed, true)
    await clock.run(2_000)
    limiter.close()
    assert.equal(clock.pendingTimers, 0)
  }
})

test('what a part throws is logged, and ends neither the beats nor the other parts', async () => {
  const heard: string[] = []
  const fail = (): never => { throw new Error('mine') }
  const faults: FleetPart = { info: fail, settled: fail, capacity: fail, joined: fail, beaten: fail, left: fail, close: fail }
  const sound: FleetPart = { capacity: () => 7, joined: () => { heard.push('joined') }, beaten: () => { heard.push('beaten') }, left: () => { heard.push('left') }, close: () => { heard.push('close') } }
  const clock = new FakeClock()
  const { core, memory, messages, limiter } = makeCore([faults, sound], undefined, clock)
  const other = makeCore([], memory, clock)
  await Promise.all([core.start(), other.core.start(), clock.flush()])
  await clock.run(2_000)
  await whileRunning(clock, other.core.close())
  await whileRunning(clock, core.close())
  limiter.close()
  assert.deepEqual(new Set(heard), new Set(['joined', 'beaten', 'left', 'close']))
  assert.ok(messages('error').includes('fleet: a part failed'))
  assert.equal(memory.size, 0)
})

test('a node that never started ends its engine, and nothing else', async () => {
  const { core, clock, faulty } = makeCore()
  await whileRunning(clock, core.close())
  await clock.run(10_000)
  assert.deepEqual([faulty.calls, clock.pendingTimers], [['close'], 0])
})

test('a node that is closed while it starts does not go on', async () => {
  const { core, clock, faulty, messages } = makeCore()
  faulty.fault = 'hang'
  void core.start()
  await clock.run(100)
  await whileRunning(clock, core.close(), 5_000)
  assert.ok(!faulty.calls.includes('beat'))
  faulty.calls.length = 0
  await clock.run(20_000)
  assert.deepEqual([faulty.calls, clock.pendingTimers, messages('warn')], [[], 0, []])
  core.beat()
  await clock.run(1_000)
  assert.deepEqual(faulty.calls, [])
})

test('messages that arrive after the end are not heard', async () => {
  const clock = new FakeClock()
  const memory = new MemoryFleet(clock)
  const heard: unknown[] = []
  let hear!: (message: string) => void
  const a = makeCore([{ hears: { greet: () => { heard.push('greet') } } }], memory, clock)
  const { listen } = memory
  memory.listen = (node, given) => {
    hear = given
    return Reflect.apply(listen, memory, [node, given]) as () => void
  }
  await whileRunning(clock, a.core.start())
  hear(writeMessage('greet', 'x', {}))
  await whileRunning(clock, a.core.close())
  hear(writeMessage('greet', 'x', {}))
  assert.deepEqual(heard, ['greet'])
})

test('listeners hear events, one that throws is reported, and parts can ask whether there is one', async () => {
  const { core, failed } = makeCore()
  assert.equal(core.listens('online'), false)
  const heard: unknown[] = []
  core.events.on('online', () => { throw new Error('mine') })
  core.events.on('online', (event) => { heard.push(event) })
  core.emit('online', { owner: '42', here: true })
  assert.deepEqual([core.listens('online'), core.listens('offline'), heard], [true, false, [{ owner: '42', here: true }]])
  assert.equal((failed as Array<[Error, string]>)[0]![1], 'online')
})

test('acts of administration reach the audit', () => {
  const { core, acts } = makeCore()
  core.audit({ action: 'disconnect', target: 'all', outcome: 'done', connections: 3 })
  assert.equal(acts.length, 1)
})

test('the name of a lost or joined node is logged, ten of them at most', async () => {
  const clock = new FakeClock()
  const memory = new MemoryFleet(clock)
  const a = makeCore([], memory, clock)
  await whileRunning(clock, a.core.start())
  for (let i = 0; i < 25; i++) memory.beat(`n${i}`, { info: '{}', capacity: 1, lease: 3_000, settled: [], away: 0 })
  await clock.run(10_000)
  const named = Array.from({ length: 10 }, (_, i) => `n${i}`)
  assert.deepEqual(a.lines.slice(1).map(({ level, fields, message }) => [level, message, fields]), [
    ['info', 'fleet: nodes have joined', { nodes: named, more: 15, size: 26 }],
    ['warn', 'fleet: nodes are lost: their leases have ended', { nodes: named, more: 15, size: 1 }]
  ])
})
