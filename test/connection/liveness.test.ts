/**
 * What a connection knows of its life: its settings, its start, and its round trip.
 * The parts that act on them are tested in test/watch/.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { RouteSettings } from '../../lib/connection/settings.ts'
import type { Probe } from '../../lib/connection/liveness.ts'
import { NEW, pongReceived } from '../../lib/connection/liveness.ts'
import { createFakeHost, NO_SETTINGS } from '../helpers/fake-host.ts'

const probe = (leftAt: number, left = true): Probe => ({ age: 0, left, leftAt, taken: 0, alone: true, era: 0 })

// ——— settings

test('a connection has the settings of its host, or those of its route', () => {
  const host = createFakeHost({ settings: { idleTimeout: 60_000 } })
  assert.equal(host.connect().connection.settings, host.settings)
  const settings: RouteSettings = { ...NO_SETTINGS, heartbeat: { interval: 100, maxMissed: 1 }, idleTimeout: false, maxLifetime: 90_000 }
  const { connection } = host.connect({ settings })
  assert.equal(connection.settings, settings)
  assert.deepEqual([connection.idleTimeout, connection.maxLifetime, connection.expiresAt], [false, 90_000, undefined])
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
