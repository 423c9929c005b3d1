/**
 * Limits that count the connections of all nodes, over real sockets: applications in one process that share an engine in memory.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocketServer } from 'ws'
import { systemClock } from '../../lib/base/clock.ts'
import type { FleetEngine } from '../../lib/fleet/engine.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { ended, tcpEnded } from '../helpers/ends.ts'
import { assertRefused, gate } from '../helpers/gate.ts'
import { MovingClient } from '../helpers/moving-client.ts'
import { perOwner, total } from '../helpers/places-rig.ts'
import { nextEvent } from '../helpers/records.ts'
import { connect, portOf, rawConnect, rawHandshake, reportOf, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const ann = { headers: { 'x-user': 'ann' } }
const refused = ({ status, headers }: { status: number, headers: Record<string, string> }) => ({ refused: status, retryAfter: headers['retry-after'] })

interface Nodes {
  apps: TestApp[]
  /** Holds the answers of the engine to the first application from now on; `taken`: it has carried a call out. */
  hold (): { taken: Promise<void>, release (): void }
  /** Requests that have reached a hook. */
  readonly hooked: number
}

async function startNodes (t: TestContext, options: LifecycleOptions, configure: (app: TestApp) => void = () => {}, count = 2): Promise<Nodes> {
  const memory = new MemoryFleet(systemClock)
  const apps: TestApp[] = []
  let held: ReturnType<typeof gate> | undefined
  let hooked = 0
  const holdable = (engine: FleetEngine): FleetEngine => new Proxy(engine, {
    get: (target, name: keyof FleetEngine) => name !== 'take'
      ? typeof target[name] === 'function' ? target[name].bind(target as never) : target[name]
      : async (...args: Parameters<FleetEngine['take']>) => {
        const given = await target.take(...args)
        await held?.wait()
        return given
      }
  })
  for (let i = 0; i < count; i++) {
    const engine = memory.engine()
    apps.push(await start(t, {
      owner: ({ headers }) => headers['x-user'] as string | undefined,
      fleet: () => i === 0 ? holdable(engine) : engine,
      ...options
    }, (app) => {
      app.addHook('onRequest', async () => { hooked++ })
      app.get('/', { websocket: true }, (socket) => {
        socket.on('message', (owner) => { socket.send(String(app.sockets.of(socket).setOwner(String(owner)))) })
      })
      configure(app)
    }))
  }
  return {
    apps,
    hold () {
      held = gate()
      return { taken: held.arrived, release: held.open }
    },
    get hooked () { return hooked }
  }
}

const leftovers = ({ sockets }: TestApp) => (sockets as unknown as { leftovers: number }).leftovers

/** Connects, whatever was refused before: a place is free once the server has seen the end of the raw socket. */
async function connectInTime (t: TestContext, app: TestApp, options: object = {}) {
  for (;;) {
    const client = await connect(t, app, '/', options).catch(() => null)
    if (client !== null) return client
  }
}

test('perOwner: a handshake of an owner who has enough connections on another node is refused with 429, until one of those has gone', async (t) => {
  const { apps: [one, two] } = await startNodes(t, { limits: perOwner(1) })
  const refusal = nextEvent({ sockets: two!.sockets }, 'refused')
  const client = await connect(t, one!, '/', ann)
  assert.deepEqual(await connect(t, two!, '/', ann).catch(refused), { refused: 429, retryAfter: '1' })
  assert.deepEqual(await refusal, [{ reason: 'perOwner', path: '/', ip: '127.0.0.1' }])
  await connect(t, two!, '/', { headers: { 'x-user': 'bob' } })
  await client.close()
  await connectInTime(t, two!, ann)
  assert.deepEqual([one!.sockets.size, two!.sockets.size], [0, 2])
})

test('total: a handshake is refused with 503 on arrival, and reaches no hook', async (t) => {
  const nodes = await startNodes(t, { limits: total(1) })
  const [one, two] = nodes.apps
  await connect(t, one!, '/')
  assert.equal(nodes.hooked, 1)
  for (const app of [one, two]) assert.deepEqual(await connect(t, app!, '/').catch(refused), { refused: 503, retryAfter: '1' })
  assert.equal(nodes.hooked, 1)
  assert.deepEqual(two!.sockets.stats().refused, { total: 1 })
})

test("refusal 'close': the client gets 1013", async (t) => {
  for (const limits of [total(1), perOwner(1)]) {
    const { apps: [one, two] } = await startNodes(t, { limits, refusal: 'close' })
    await connect(t, one!, '/', ann)
    assert.deepEqual(await ended(await connect(t, two!, '/', ann)), { code: 1013, reason: 'no room; retry=1000' })
    assert.equal(one!.sockets.size, 1)
  }
})

test('evict-oldest: the client of the oldest connection gets 4001 from its node', async (t) => {
  for (const limits of [total(2, 'evict-oldest'), perOwner(2, 'evict-oldest')]) {
    const { apps: [one, two] } = await startNodes(t, { limits })
    const first = await connect(t, one!, '/', ann)
    await until(() => one!.sockets.list()[0]!.openedAt < Date.now())
    await connect(t, two!, '/', ann)
    await connect(t, two!, '/', ann)
    assert.deepEqual(await ended(first), { code: 4001, reason: 'replaced' })
    await until(() => one!.sockets.history.length === 1)
    assert.deepEqual([one!.sockets.history[0]!.cause, two!.sockets.count({ state: 'open' })], ['replaced', 2])
  }
})

test('setOwner() returns true, and the connection is closed with 1013 when the nodes have no room', async (t) => {
  const { apps: [one, two] } = await startNodes(t, { limits: perOwner(1) })
  await connect(t, one!, '/', ann)
  const client = await connect(t, two!, '/')
  client.send('ann')
  assert.equal(await client.next(), 'true')
  assert.deepEqual(await ended(client), { code: 1013, reason: 'no room; retry=1000' })
})

for (const limits of [total(1), perOwner(1)]) {
  test(`a client that leaves while its handshake waits for a place gives it back: ${JSON.stringify(limits)}`, async (t) => {
    const { apps: [one, two], hold } = await startNodes(t, { limits })
    const { taken, release } = hold()
    const raw = await rawHandshake(t, one!, '/', { 'x-user': 'ann' })
    await taken
    raw.reset()
    await until(() => leftovers(one!) === 0)
    release()
    await connectInTime(t, two!, ann)
    assert.equal(one!.sockets.stats().opened, 0)
  })
}

test('a handshake that has waited on arrival and is answered by a hook ends, and gives its place back', async (t) => {
  const { apps: [one, two] } = await startNodes(t, { limits: total(1) }, (app) => {
    app.get('/private', { websocket: true, preHandler: async (_request, reply) => { await reply.code(401).send('who are you?') } }, () => {})
  })
  const raw = await rawHandshake(t, one!, '/private')
  assert.equal((await raw.answer).status, 401)
  assert.equal(await tcpEnded(raw), undefined)
  await connectInTime(t, two!)
})

test('a handshake that waits for a place when the drain begins is refused as all others', async (t) => {
  const { apps: [one], hold } = await startNodes(t, { limits: total(1), drain: { settleDelay: 0 } })
  const { taken, release } = hold()
  const raw = await rawHandshake(t, one!, '/')
  await taken
  const drained = one!.sockets.drain()
  await assertRefused(raw)
  release()
  await drained
  assert.equal(reportOf(one!).connections.total, 0)
})

test('limits of the node are looked at again after the wait: what is too much is refused over HTTP', async (t) => {
  const { apps: [one], hold } = await startNodes(t, { limits: { ...perOwner(9), perAddress: { max: 1 } } })
  const { release } = hold()
  const raws = await Promise.all(Array.from({ length: 4 }, () => rawHandshake(t, one!, '/', { 'x-user': 'ann' })))
  // Each holds a place of this node.
  await until(() => leftovers(one!) >= 4)
  release()
  const statuses = await Promise.all(raws.map(async ({ answer }) => (await answer).status))
  assert.deepEqual(statuses.sort(), [101, 429, 429, 429])
})

for (const refusal of ['http', 'close'] as const) {
  test(`onOutage 'refuse', refusal '${refusal}': without an engine a handshake is refused for the reason fleet`, async (t) => {
    const { apps: [one] } = await startNodes(t, {
      limits: total(5),
      onOutage: 'refuse',
      refusal,
      fleet: () => new Proxy(new MemoryFleet(systemClock).engine(), { get: (target, name: keyof FleetEngine) => typeof target[name] === 'function' ? () => Promise.reject(new Error('no engine')) : target[name] })
    }, undefined, 1)
    const event = nextEvent({ sockets: one!.sockets }, 'refused')
    if (refusal === 'http') assert.deepEqual(await connect(t, one!, '/').catch(refused), { refused: 503, retryAfter: '1' })
    else assert.deepEqual(await ended(await connect(t, one!, '/')), { code: 1013, reason: 'no room; retry=1000' })
    assert.equal((await event)[0].reason, 'fleet')
  })
}

test('a client that moves to another node because its own drains is at the limit all the while, and loses nothing', async (t) => {
  for (const limits of [total(1), perOwner(1), perOwner(1, 'evict-oldest')]) {
    const { apps: [one, two] } = await startNodes(t, { limits })
    let current = one!
    const client = await MovingClient.connect(t, () => `ws://127.0.0.1:${portOf(current)}/`, ann)
    current = two!
    const report = await one!.sockets.drain()
    await until(() => client.left.length === 1)
    assert.deepEqual([client.moves, client.failures, client.left, report.connections.causes], [1, [], [{ code: 1012, reason: 'moved' }], { moved: 1 }])
    assert.equal(two!.sockets.count({ state: 'open' }), 1)
  }
})

test('handshakes of an adopted server take places', async (t) => {
  const { apps: [one, two] } = await startNodes(t, { limits: total(1) })
  const server = new WebSocketServer({ noServer: true })
  one!.sockets.adopt(server)
  one!.server.prependListener('upgrade', (request, socket, head) => {
    if (request.url !== '/adopted') return
    server.handleUpgrade(request, socket, head, (webSocket) => { server.emit('connection', webSocket, request) })
  })
  await rawConnect(t, one!, '/adopted')
  assert.deepEqual(await connect(t, two!, '/').catch(refused), { refused: 503, retryAfter: '1' })
  const raw = await rawHandshake(t, one!, '/adopted')
  assert.equal((await raw.answer).status, 503)
})

test('a handshake that is about to open waits at its hooks first: those that fail ask for no place of an owner', async (t) => {
  const lock = gate()
  const { apps: [one, two] } = await startNodes(t, { limits: perOwner(1) }, (app) => {
    app.get('/slow', { websocket: true, preHandler: lock.wait }, () => {})
  })
  const raw = await rawHandshake(t, one!, '/slow', { 'x-user': 'ann' })
  await lock.arrived
  const client = await connect(t, two!, '/', ann)
  lock.open()
  assert.equal((await raw.answer).status, 429)
  await client.close()
})
