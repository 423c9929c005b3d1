/**
 * Clients that are expected: on their own, and in a rolling deploy of several servers.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { CAUSE_CODES } from '../../lib/base/close-codes.ts'
import type { CloseCause } from '../../lib/base/close-codes.ts'
import { Expected } from '../../lib/track/expected.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

const CONNECTION = {} as ManagedConnection

function setup (longestDelay = 60_000) {
  const clock = new FakeClock()
  const moved = new Set<ManagedConnection>()
  const expected = new Expected({ clock, longestDelay, moved: (connection) => moved.has(connection) })
  return {
    clock,
    expected,
    open: (count = 1) => { for (let i = 0; i < count; i++) expected.accepted() },
    /** Closes a connection; `reason` is that of our close frame, if there is one. */
    close: (reason?: string, cause: CloseCause = 'drain') => {
      if (reason !== undefined) expected.ending(CONNECTION, 1012, reason, cause)
      expected.closing(CONNECTION)
    }
  }
}

test('a connection counts until it closes', () => {
  const { expected, open, close } = setup()
  open(2)
  close()
  close('service restart')
  assert.equal(expected.count, 0)
})

test('a client that was told a delay counts until that has passed', () => {
  const { expected, clock, open, close } = setup()
  open(3)
  close('service restart; retry=1000')
  close('service restart; retry=30000')
  assert.equal(expected.count, 3)
  clock.tick(999)
  assert.equal(expected.count, 3)
  // A bucket is 15 ms long.
  clock.tick(16)
  assert.equal(expected.count, 2)
  clock.tick(28_980)
  assert.equal(expected.count, 2)
  clock.tick(30)
  assert.equal(expected.count, 1)
})

test('it is the same after any time without a look', () => {
  const { expected, clock, open, close } = setup()
  for (const pause of [0, 10, 59_000, 60_000, 61_000, 1e9]) {
    open()
    clock.tick(pause)
    close('service restart; retry=60000')
    clock.tick(59_999)
    assert.equal(expected.count, 1, `after ${pause} ms`)
    clock.tick(1 + 16)
    assert.equal(expected.count, 0, `after ${pause} ms`)
  }
})

test('a delay above the longest counts as the longest', () => {
  const { expected, clock, open, close } = setup(1_000)
  open()
  close('maintenance; retry=999999999')
  clock.tick(999)
  assert.equal(expected.count, 1)
  clock.tick(3)
  assert.equal(expected.count, 0)
})

test('a client is expected back after the closes of this package that tell it when, and after no other', () => {
  const causes = (Object.keys(CAUSE_CODES) as CloseCause[]).filter((cause) => {
    const { expected, open, close } = setup()
    open()
    close('come back; retry=1000', cause)
    return expected.count > 0
  })
  assert.deepEqual(causes, ['drain', 'leave', 'lifetime', 'rebalance'])
})

test('a client that comes back at once to a handler that tells it a delay is counted once', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: false })
  for (let i = 0; i < 30; i++) {
    void open().connection.close(1013, 'busy; retry=60000')
    await clock.flush()
  }
  open().socket.close(1013, 'busy; retry=60000')
  open()
  tracker.disconnect('all', { reason: 'busy; retry=60000' })
  await clock.flush()
  open()
  assert.deepEqual([tracker.size, tracker.stats().expected], [1, 1])
})

test('a client that has moved counts no more on its old connection', () => {
  const clock = new FakeClock()
  const { tracker, open, moves } = createTracker({ heartbeat: false, drain: { preStop: 1 } }, 'none', { clock })
  const { connection } = open({ peer: 'silent' })
  moves.offered(connection)
  moves.ask(connection, 0)
  open()
  assert.equal(tracker.stats().expected, 2)
  for (const part of connection.host.hooks.moved) part.moved(connection)
  assert.equal(tracker.stats().expected, 1)
})
