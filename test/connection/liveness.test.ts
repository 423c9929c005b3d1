/**
 * What a connection knows of its life: its settings, its times as they are set and refused, and its round trip.
 * The parts that act on them are tested in test/watch/.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import type { RouteSettings } from '../../lib/connection/settings.ts'
import type { Probe } from '../../lib/connection/liveness.ts'
import { NEW, pongReceived } from '../../lib/connection/liveness.ts'
import { createFakeHost, NO_SETTINGS } from '../helpers/fake-host.ts'
import type { FakeHost } from '../helpers/fake-host.ts'

const NOON = Date.UTC(2030, 0, 1, 12)

/** Keeps on record what the parts are told. */
function listen (host: FakeHost): string[] {
  const told: string[] = []
  host.hooks.add({
    idleTimeoutSet: (connection) => { told.push(`idle ${connection.idleTimeout}`) },
    lifetimeSet: (connection) => { told.push(`end ${connection.maxLifetime} ${connection.expiresAt}`) }
  }, 'idleTimeoutSet', 'lifetimeSet')
  return told
}

const probe = (leftAt: number, left = true): Probe => ({ age: 0, left, leftAt, taken: 0, alone: true, era: 0 })

/** Sets a property as JavaScript users may. */
const set = (connection: ManagedConnection, name: string, value: unknown) => { Reflect.set(connection, name, value, connection) }

// ——— settings

test('a connection has the settings of its host, or those of its route', () => {
  const host = createFakeHost({ settings: { idleTimeout: 60_000 } })
  assert.equal(host.connect().connection.settings, host.settings)
  const settings: RouteSettings = { ...NO_SETTINGS, heartbeat: { interval: 100, maxMissed: 1 }, idleTimeout: false, maxLifetime: 90_000 }
  const { connection } = host.connect({ settings })
  assert.equal(connection.settings, settings)
  assert.deepEqual([connection.idleTimeout, connection.maxLifetime, connection.expiresAt], [false, 90_000, undefined])
})

test('where nothing is set a connection has no times at all', () => {
  const { connection } = createFakeHost({ settings: { heartbeat: { interval: 25_000, maxMissed: 2 } } }).connect()
  assert.deepEqual([connection.idleTimeout, connection.maxLifetime, connection.expiresAt, connection.rtt], [false, false, undefined, undefined])
})

test('times of one are not those of another', () => {
  const host = createFakeHost({ settings: { idleTimeout: 60_000 } })
  const [{ connection: a }, { connection: b }] = [host.connect(), host.connect()]
  a.idleTimeout = 1_000
  a.expiresAt = NOON
  assert.deepEqual([b.idleTimeout, b.expiresAt, host.settings.idleTimeout], [60_000, undefined, 60_000])
})

test('its life starts when it is made, also where its lifetime is set later', () => {
  const host = createFakeHost({ settings: { maxLifetime: 60_000 } })
  const { connection } = host.connect()
  assert.equal(connection.startedAt, host.clock.now())
})

test('a lifetime set later counts from the opening, not from when it was set', () => {
  const host = createFakeHost()
  const born = host.clock.now()
  const { connection } = host.connect()
  host.clock.tick(5_000)
  connection.maxLifetime = 60_000
  assert.equal(connection.startedAt, born)
})

test('a connection counts as heard when it opens: the heartbeat does not ping it at once', () => {
  const { connection } = createFakeHost().connect()
  assert.deepEqual([connection.heard, connection.bytesSeen, connection.probe], [true, NEW, null])
})

// ——— setting times

test('idleTimeout and maxLifetime are set, changed and switched off at any time, and the parts are told each time', () => {
  const host = createFakeHost()
  const told = listen(host)
  const { connection } = host.connect()
  connection.idleTimeout = 1_000
  connection.idleTimeout = 1
  connection.idleTimeout = false
  connection.maxLifetime = 5_000
  connection.maxLifetime = false
  assert.deepEqual(told, ['idle 1000', 'idle 1', 'idle false', 'end 5000 undefined', 'end false undefined'])
})

test('expiresAt is taken as epoch milliseconds or Date, read as a number, and unset with undefined', () => {
  const host = createFakeHost()
  const told = listen(host)
  const { connection } = host.connect()
  connection.expiresAt = NOON
  assert.equal(connection.expiresAt, NOON)
  connection.expiresAt = new Date(NOON + 1)
  assert.equal(connection.expiresAt, NOON + 1)
  connection.expiresAt = NOON + 0.5
  assert.equal(connection.expiresAt, NOON + 0.5)
  connection.expiresAt = undefined
  assert.equal(connection.expiresAt, undefined)
  assert.deepEqual(told, [`end false ${NOON}`, `end false ${NOON + 1}`, `end false ${NOON + 0.5}`, 'end false undefined'])
})

test('a Date that is changed afterwards changes nothing', () => {
  const { connection } = createFakeHost().connect()
  const date = new Date(NOON)
  connection.expiresAt = date
  date.setTime(0)
  assert.equal(connection.expiresAt, NOON)
})

test('expiresAt may lie in the past, from 1973 on', () => {
  const { connection } = createFakeHost().connect()
  connection.expiresAt = 1e11
  assert.equal(connection.expiresAt, 1e11)
})

const WRONG: Array<[property: 'expiresAt' | 'idleTimeout' | 'maxLifetime', ...values: unknown[]]> = [
  ['expiresAt', NOON / 1_000, 1e11 - 1, 0, -1, NaN, Infinity, -Infinity, new Date(NaN), new Date(0), '2030-01-01', String(NOON), null, true, {}, BigInt(NOON)],
  ['idleTimeout', 0, -1, 1.5, NaN, Infinity, '60s', null, undefined, true, {}],
  ['maxLifetime', 0, -1, 1.5, NaN, Infinity, '60s', null, undefined, true, {}]
]

for (const [property, ...values] of WRONG) {
  test(`${property} refuses ${values.map((value) => typeof value === 'bigint' ? `${value}n` : String(value)).join(', ')}, and keeps what it had`, () => {
    const host = createFakeHost()
    const told = listen(host)
    const { connection } = host.connect()
    const good = property === 'expiresAt' ? NOON : 1_000
    connection[property] = good as never
    told.length = 0
    for (const value of values) {
      assert.throws(() => { set(connection, property, value) }, { code: 'SOCKETS_ERR_INVALID_ARGUMENT', message: new RegExp(property) }, `${String(value)} was taken`)
      assert.equal(connection[property], good)
    }
    assert.deepEqual(told, [])
  })
}

test('a time in seconds is refused with what to do about it', () => {
  const { connection } = createFakeHost().connect()
  assert.throws(() => { connection.expiresAt = NOON / 1_000 }, { message: /epoch milliseconds \(a claim in seconds × 1000\), a Date or undefined, got 1893499200/ })
})

test('while draining times are still handed on', () => {
  const host = createFakeHost()
  const told = listen(host)
  const { connection } = host.connect()
  connection.startDraining()
  connection.idleTimeout = 1_000
  connection.expiresAt = NOON
  assert.deepEqual(told, ['idle 1000', `end false ${NOON}`])
})

for (const state of ['closing', 'closed'] as const) {
  test(`on a ${state} connection times are kept and checked, and no hook is told`, async () => {
    const host = createFakeHost()
    const pair = host.connect()
    const { connection } = pair
    if (state === 'closed') await host.leave(pair)
    else connection.end('application', 1000, '')
    const told = listen(host)
    connection.idleTimeout = 1_000
    connection.maxLifetime = 2_000
    connection.expiresAt = NOON
    assert.deepEqual([connection.state, connection.idleTimeout, connection.maxLifetime, connection.expiresAt], [state, 1_000, 2_000, NOON])
    assert.throws(() => { connection.expiresAt = 5 }, { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
    assert.deepEqual(told, [])
  })
}

test('without a part that hears it times are kept all the same', () => {
  const { connection } = createFakeHost().connect()
  connection.idleTimeout = 1_000
  connection.expiresAt = NOON
  assert.deepEqual([connection.idleTimeout, connection.expiresAt], [1_000, NOON])
})

// ——— the round trip

test('the round trip is that of our ping, in milliseconds with fractions', () => {
  const host = createFakeHost()
  const { connection } = host.connect()
  connection.probe = probe(host.clock.now())
  host.clock.tick(12.3456)
  pongReceived(connection)
  assert.equal(connection.rtt, 12.346)
  assert.equal(connection.probe, null)
})

test('a pong within the same moment is a round trip of 0, not of none', () => {
  const host = createFakeHost()
  const { connection } = host.connect()
  connection.probe = probe(host.clock.now())
  pongReceived(connection)
  assert.equal(connection.rtt, 0)
})

test('a round trip is never negative', () => {
  const host = createFakeHost()
  const { connection } = host.connect()
  connection.probe = probe(host.clock.now() + 5)
  pongReceived(connection)
  assert.equal(connection.rtt, 0)
})

test('a pong that was not asked for, or before the ping has left, is no round trip', () => {
  const host = createFakeHost()
  const { connection } = host.connect()
  pongReceived(connection)
  assert.equal(connection.rtt, undefined)
  const waiting = connection.probe = probe(0, false)
  pongReceived(connection)
  assert.equal(connection.rtt, undefined)
  assert.equal(connection.probe, waiting)
})

test('the last round trip counts, and stays when the connection is closed', async () => {
  const host = createFakeHost()
  const pair = host.connect()
  for (const delay of [5, 80]) {
    pair.connection.probe = probe(host.clock.now())
    host.clock.tick(delay)
    pongReceived(pair.connection)
  }
  await host.leave(pair)
  assert.equal(pair.connection.rtt, 80)
})
