/**
 * `idleTimeout`, `maxLifetime` and `expiresAt` of a connection, as they are set and refused.
 * The parts that act on them are tested in test/watch/.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Lifetimes } from '../../lib/connection/lifetimes.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
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

/** Sets a property as JavaScript users may. */
const set = (connection: ManagedConnection, name: string, value: unknown) => { Reflect.set(connection, name, value, connection) }

test('lifetimes alone need the state of a connection, and its hooks', () => {
  const host = createFakeHost()
  const told: unknown[] = []
  host.hooks.add({ lifetimeSet: (connection: unknown) => { told.push(connection) } }, 'lifetimeSet')
  const connection = { host, state: 'open' } as never
  const lifetimes = new Lifetimes(connection, { ...NO_SETTINGS, idleTimeout: 1_000 })
  lifetimes.maxLifetime = 5_000
  assert.deepEqual([lifetimes.idleTimeout, lifetimes.maxLifetime, told], [1_000, 5_000, [connection]])
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
