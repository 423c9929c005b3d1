/**
 * `mode: 'observe'` over real sockets, policy by policy: what would have been is told, counted and summed up, and nothing
 * is done. As a whole, and for one policy while the others act.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { defaults } from '../../lib/index.ts'
import type { LifecycleOptions, PolicyName } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/index.ts'
import type { TestClock } from '../../lib/testing/index.ts'
import { wsTransport } from '../../lib/ws/transport.ts'
import { gate } from '../helpers/gate.ts'
import { connect, logged, rawConnect, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'
import { as, serve as serveApp, turnedAway } from './rig.ts'
import type { Told } from './rig.ts'

interface Served { app: TestApp, told: Told, clock: TestClock }

async function serve (t: TestContext, options: LifecycleOptions, configure: (app: TestApp) => unknown = () => {}): Promise<Served> {
  const clock = createClock()
  return { ...await serveApp(t, { heartbeat: false, ...options, clock }, { configure }), clock }
}

/** Something that a policy acts on; says what of it is observed, and how often. */
interface Case {
  policy: PolicyName
  options: LifecycleOptions
  expected: string
  count?: number
  provoke (t: TestContext, served: Served): Promise<unknown>
}

const three = async (t: TestContext, { app }: Served) => { for (let i = 0; i < 3; i++) await as(t, app, 'ann') }

async function deaf (t: TestContext, app: TestApp): Promise<void> {
  const raw = await rawConnect(t, app, '/')
  raw.pause()
  const { socket } = app.sockets.list()[0]!
  for (let i = 0; i < 256; i++) socket.send(Buffer.alloc(65_536))
  for (let before = -1; before !== wsTransport.bytesTaken(socket);) {
    before = wsTransport.bytesTaken(socket)
    await new Promise((resolve) => { setTimeout(resolve, 50) })
  }
}

/** Five messages at once, each of which is answered. */
async function echoFive (t: TestContext, { app }: Served): Promise<void> {
  const client = await as(t, app, 'ann')
  for (let i = 0; i < 5; i++) client.send(String(i))
  for (let i = 0; i < 5; i++) assert.equal(await client.next(), String(i))
}

const cases: Case[] = [
  { policy: 'total', options: { limits: { total: { max: 2 } } }, expected: 'refuse of a handshake at /', provoke: three },
  { policy: 'total', options: { limits: { total: { max: 2, policy: 'evict-oldest' } } }, expected: 'evict of a handshake at /', provoke: three },
  { policy: 'perOwner', options: { limits: { perOwner: { max: 2 } } }, expected: 'refuse of a handshake at /', provoke: three },
  { policy: 'perOwner', options: { limits: { perOwner: { max: 2, policy: 'evict-idlest' } } }, expected: 'evict of a handshake at /', provoke: three },
  { policy: 'perAddress', options: { limits: { perAddress: { max: 2 } } }, expected: 'refuse of a handshake at /', provoke: three },
  { policy: 'perAddress', options: { limits: { perAddress: { max: 2 } }, refusal: 'close' }, expected: 'refuse of a handshake at /', provoke: three },
  {
    policy: 'handshakes',
    options: { limits: { handshakes: { max: 1 } } },
    expected: 'refuse of a handshake at /',
    async provoke (t, { app }) {
      const waiting = as(t, app, 'ann', {}, '/slow')
      await slow.arrived
      await as(t, app, 'ann')
      slow.open()
      await waiting
    }
  },
  {
    policy: 'origin',
    options: { allowedOrigins: ['https://app.example'] },
    expected: 'refuse of a handshake at /',
    provoke: (t, { app }) => connect(t, app, '/?secret', { headers: { origin: 'https://evil.example' } })
  },
  {
    policy: 'messageRate',
    options: { messageRate: { max: 2 } },
    expected: 'close of a connection',
    count: 3,
    provoke: echoFive
  },
  {
    policy: 'messageRate',
    options: { messageRate: { max: 2, policy: 'pause' } },
    expected: 'pause of a connection',
    count: 3,
    provoke: echoFive
  },
  {
    policy: 'backpressure',
    options: { backpressure: { maxStallTime: 1_000 } },
    expected: 'close of a connection',
    async provoke (t, { app, clock }) {
      await deaf(t, app)
      await clock.tick(1_500)
    }
  },
  {
    policy: 'idle',
    options: { idleTimeout: 1_000 },
    expected: 'close of a connection',
    async provoke (t, { app, clock }) {
      await as(t, app, 'ann')
      await clock.tick(1_500)
    }
  },
  {
    policy: 'lifetime',
    options: { maxLifetime: 1_000 },
    expected: 'close of a connection',
    async provoke (t, { app, clock }) {
      await as(t, app, 'ann')
      await clock.tick(1_500)
    }
  },
  {
    policy: 'expiry',
    options: {},
    expected: 'close of a connection',
    async provoke (t, { app, clock }) {
      await as(t, app, 'ann')
      app.sockets.list()[0]!.expiresAt = clock.wallNow() + 1_000
      await clock.tick(1_500)
    }
  },
  {
    policy: 'heartbeat',
    options: { heartbeat: { interval: 1_000, maxMissed: 1 } },
    expected: 'terminate of a connection',
    async provoke (t, { app, clock }) {
      await rawConnect(t, app, '/')
      await clock.tick(2_200)
    }
  }
]

let slow = gate()

for (const { policy, options, expected, count = 1, provoke } of cases) {
  for (const mode of ['observe', { [policy]: 'observe' }] as Array<LifecycleOptions['mode']>) {
    test(`${typeof mode === 'string' ? 'observe' : `observe ${policy} only`}: ${policy} (${JSON.stringify(options)}) tells ${expected} and does nothing`, async (t) => {
      slow = gate()
      const served = await serve(t, { ...options, mode }, (app) => { app.get('/slow', { websocket: true, onRequest: slow.wait }, () => {}) })
      const { app, told, clock } = served
      await provoke(t, served)
      await until(() => told.observed.length >= count)
      const seen = told.observed.map(({ policy, action, connection, path }) => `${policy}: ${action} of ${connection === undefined ? `a handshake at ${path}` : 'a connection'}`)
      assert.deepEqual(seen, Array(count).fill(`${policy}: ${expected}`))
      assert.deepEqual(app.sockets.stats().observed, { [policy]: count })
      assert.deepEqual([told.refused, told.closed], [[], []])
      assert.ok(app.sockets.size > 0)
      assert.ok(app.sockets.list().every(({ state }) => state === 'open'))
      // No connection has gone, so some go on being observed: what counts is one line a minute.
      await clock.tick(61_000)
      const [line] = logged(app, /only observe/)
      assert.equal(line?.level, 30)
      assert.ok((line['observed'] as Record<string, number>)[policy]! >= count)
      assert.equal(logged(app, /only observe/).length, 1)
    })
  }
}

test('one policy observes while the others act', async (t) => {
  const { app, told } = await serve(t, { mode: { perOwner: 'observe' }, limits: { total: { max: 3 }, perOwner: { max: 1 } } })
  await three(t, { app } as Served)
  assert.equal((await turnedAway(as(t, app, 'bob'))).status, 503)
  assert.deepEqual(told.observed.map(({ policy }) => policy), ['perOwner', 'perOwner'])
  assert.deepEqual(told.refused.map(({ reason }) => reason), ['total'])
})

test('what was observed last is told when the server closes, and nothing where nothing was', async (t) => {
  const { app } = await serve(t, { mode: 'observe', limits: { total: { max: 1 } } })
  const { app: quiet } = await serve(t, { mode: 'observe', limits: { total: { max: 1 } } })
  await three(t, { app } as Served)
  await app.close()
  await quiet.close()
  assert.deepEqual(logged(app, /only observe/).map(({ observed }) => observed), [{ total: 2 }])
  assert.deepEqual(logged(quiet, /only observe/), [])
})

test('setOwner of a connection over the limit of its owner is observed, and says that it may stay', async (t) => {
  const { app, told } = await serve(t, { mode: 'observe', limits: { perOwner: { max: 1 } } })
  for (let i = 0; i < 2; i++) await connect(t, app, '/')
  const [a, b] = app.sockets.list()
  assert.deepEqual([a!.setOwner('ann'), b!.setOwner('ann')], [true, true])
  assert.deepEqual(told.observed.map(({ policy, action }) => `${policy} ${action}`), ['perOwner refuse'])
})

test('the default enforces', () => {
  assert.equal(defaults.mode, 'enforce')
})
