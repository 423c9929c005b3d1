/**
 * Fleets of real applications in one process, on an engine in memory and a clock that the test moves.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { systemClock } from '../../lib/base/clock.ts'
import type { FleetEngine, LifecycleOptions } from '../../lib/index.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import { sharedStore } from '../../lib/move/handover-store.ts'
import { createClock } from '../../lib/testing/clock.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { makeFaulty } from '../helpers/fleet-rig.ts'
import { endOf, offering } from '../helpers/handovers.ts'
import { connect, create, logged, passUntil, passUntilClosed, start } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'
import plugin from '../../lib/index.ts'

/** Starts an application with a WebSocket route. */
function serve (t: TestContext, options: LifecycleOptions): Promise<TestApp> {
  return start(t, { heartbeat: false, owner: ({ query }) => (query as { owner?: string }).owner, ...options }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', (state) => { app.sockets.of(socket).handover(String(state)) })
      const { handed } = app.sockets.of(socket)
      if (handed !== undefined) socket.send(`handed ${String(handed)}`)
    })
  })
}

test('applications that share an engine see each other, count, list and broadcast, and leave when they close', async (t) => {
  const clock = createClock()
  const memory = new MemoryFleet(clock)
  const a = await serve(t, { clock, fleet: () => memory.engine() })
  const b = await serve(t, { clock, fleet: () => memory.engine() })
  const left: string[] = []
  a.sockets.fleet.on('left', ({ id }) => { left.push(id) })
  await passUntil(clock, () => a.sockets.fleet.nodes.length === 2)
  const client = await connect(t, b, '/?owner=42')
  await connect(t, a, '/?owner=7')
  assert.equal((await a.sockets.fleet.count()).value, 2)
  const { value: [listed] } = await a.sockets.fleet.list({ owner: '42' })
  assert.deepEqual([listed!.node, listed!.owner, listed!.route, listed!.ip], [b.sockets.fleet.node, '42', '/', '127.0.0.1'])
  assert.deepEqual((await a.sockets.fleet.broadcast('hello', 'all')).value, { sent: 2, queued: 0, dropped: 0 })
  assert.equal(await client.next(), 'hello')
  await passUntilClosed(clock, b.close())
  // The message that it leaves is under way.
  await passUntil(clock, () => left.length > 0)
  assert.deepEqual([left, a.sockets.fleet.nodes.map(({ self }) => self)], [[b.sockets.fleet.node], [true]])
  await passUntilClosed(clock, a.close())
  const { nodes, lost } = memory.beat('another', { info: '{}', capacity: 1, lease: 6_000, settled: [], away: 0 })
  assert.deepEqual([nodes.map(({ id }) => id), lost], [['another'], []])
  assert.equal(logged(a, /^fleet: this node has joined$/).length, 1)
})

test('a node leaves after its drain: until then it answers, says that it drains, and can take no client', async (t) => {
  const clock = createClock()
  const memory = new MemoryFleet(clock)
  const a = await serve(t, { clock, fleet: () => memory.engine() })
  const b = await serve(t, { clock, fleet: () => memory.engine(), onDrain: () => new Promise((resolve) => { clock.setTimeout(() => { resolve(undefined) }, 3_000) }) })
  await passUntil(clock, () => a.sockets.fleet.nodes.length === 2)
  await connect(t, b, '/?owner=42')
  const closed = b.close()
  await passUntil(clock, () => a.sockets.fleet.nodes.some(({ state, capacity }) => state === 'draining' && capacity === 0))
  assert.equal((await a.sockets.fleet.list({ owner: '42' })).value[0]!.state, 'draining')
  await passUntilClosed(clock, closed)
  await passUntil(clock, () => a.sockets.fleet.nodes.length === 1)
  assert.equal(b.reports.length, 1)
})

test('a state that is handed over on one node is found on another', async (t) => {
  const memory = new MemoryFleet(systemClock)
  const a = await serve(t, { fleet: () => memory.engine() })
  const b = await serve(t, { fleet: () => memory.engine() })
  const client = await connect(t, a, '/?owner=42', offering())
  const kept = new Promise((resolve) => { a.sockets.list()[0]!.socket.once('message', resolve) })
  client.send('page 7')
  await kept
  a.sockets.disconnect('all', { code: 1012 })
  const { id } = await endOf(client)
  assert.deepEqual([memory.handovers.size, sharedStore().size], [1, 0])
  assert.equal(await (await connect(t, b, '/?owner=42', offering(id))).next(), 'handed page 7')
  assert.equal(memory.handovers.size, 0)
})

test('an engine that does not answer keeps no application from starting, serving and closing', async (t) => {
  const clock = createClock()
  const faulty = makeFaulty(new MemoryFleet(clock).engine(), new FakeClock())
  faulty.fault = 'hang'
  const starting = serve(t, { clock, fleet: () => faulty.engine })
  let app: TestApp | undefined
  void starting.then((started) => { app = started })
  await passUntil(clock, () => app !== undefined)
  assert.ok(clock.now() <= 2_100)
  assert.equal(logged(app!, /^fleet: this node has started without its fleet/).length, 1)
  await connect(t, app!, '/')
  assert.deepEqual([app!.sockets.size, app!.sockets.fleet.state], [1, 'down'])
  await assert.rejects(Promise.all([app!.sockets.fleet.count(), clock.tick(300)]), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE' })
  await passUntilClosed(clock, app!.close())
})

for (const [what, provider, code] of [
  ['nothing', () => undefined, 'SOCKETS_ERR_INVALID_ARGUMENT'],
  ['no engine', () => ({ beat: () => {} }), 'SOCKETS_ERR_INVALID_ARGUMENT'],
  ['a promise', async () => new MemoryFleet(systemClock).engine(), 'SOCKETS_ERR_INVALID_ARGUMENT'],
  ['an error', () => { throw Object.assign(new Error('no such client'), { code: 'MINE' }) }, 'MINE']
] as const) {
  test(`an option fleet that gives ${what} fails the registration`, async (t) => {
    const app = create(t)
    await assert.rejects(async () => { await app.register(plugin, { fleet: provider as () => FleetEngine }) }, { code })
  })
}

test('the option fleet is called once, with the instance, before the application is ready', async (t) => {
  const memory = new MemoryFleet(systemClock)
  const given: unknown[] = []
  const app = await start(t, { fleet: (instance) => { given.push(instance); return memory.engine() } }, () => {}, { listen: false })
  assert.equal(given.length, 1)
  assert.equal((given[0] as TestApp).server, app.server)
  assert.equal(memory.size, 0)
  await assert.rejects(app.sockets.fleet.count(), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE', message: /has not joined yet/ })
  await app.ready()
  assert.deepEqual([memory.size, (await app.sockets.fleet.count()).value], [1, 0])
})
