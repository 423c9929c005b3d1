/**
 * What `stats()` counts by route, of broadcasts, owners and the drain, on the fake clock. Over real sockets: test/plugin/statistics.test.ts.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import { createTracker } from '../helpers/tracker-rig.ts'
import type { TrackerRig } from '../helpers/tracker-rig.ts'

/** A tracker with routes. */
function setup (options: LifecycleOptions = {}) {
  const rig = createTracker({ heartbeat: false, ...options })
  const route = (pattern: string) => rig.statistics.ofRoute(pattern, rig.statistics.adopted)
  return {
    ...rig,
    route,
    openOn: (pattern: string, facts: Parameters<TrackerRig['open']>[0] = {}) => rig.open({ route: pattern, settings: route(pattern), ...facts }),
    statesOf: (pattern: string) => {
      const { open, draining, closing, opened } = rig.tracker.stats().routes[pattern]!
      return { open, draining, closing, opened }
    }
  }
}

test('a route counts its connections by their state', async () => {
  const { openOn, statesOf, clock } = setup()
  const [a, b] = [openOn('/a', { peer: 'silent' }), openOn('/a')]
  openOn('/b')
  assert.deepEqual(statesOf('/a'), { open: 2, draining: 0, closing: 0, opened: 2 })
  a.connection.startDraining()
  assert.deepEqual(statesOf('/a'), { open: 1, draining: 1, closing: 0, opened: 2 })
  a.connection.end('drain', 1012, '')
  b.connection.end('application', 1000, '')
  assert.deepEqual(statesOf('/a'), { open: 0, draining: 0, closing: 2, opened: 2 })
  await clock.flush()
  assert.deepEqual(statesOf('/a'), { open: 0, draining: 0, closing: 1, opened: 2 })
  a.socket.rawGone()
  await clock.flush()
  assert.deepEqual(statesOf('/a'), { open: 0, draining: 0, closing: 0, opened: 2 })
  assert.deepEqual(statesOf('/b'), { open: 1, draining: 0, closing: 0, opened: 1 })
})

test('a route is there from its declaration on, and routes of one pattern share their numbers', () => {
  const { tracker, route, open, statesOf } = setup()
  const [get, other] = [route('/a'), route('/a')]
  assert.deepEqual(Object.keys(tracker.stats().routes), ['/a'])
  open({ settings: get })
  open({ settings: other })
  assert.equal(statesOf('/a').opened, 2)
})

test('connections without a route of the plugin are `adopted`, those that are opened to be refused `none`', () => {
  const { tracker, open, statistics } = setup()
  assert.deepEqual(tracker.stats().routes, {})
  for (let i = 0; i < 5_000; i++) open({ route: `/any/${i}`, peer: 'silent' })
  open({ route: '/full', settings: statistics.unrouted })
  const { routes } = tracker.stats()
  assert.deepEqual(Object.entries(routes).map(([name, { opened }]) => [name, opened]), [['adopted', 5_000], ['none', 1]])
})

test('closes are counted by cause and code; the codes that a client can choose are few', async () => {
  const { tracker, openOn, clock } = setup()
  for (let code = 3000; code < 5000; code++) openOn('/a').socket.peerCloses(code)
  for (const code of [1000, 1000, 1001, 1005]) openOn('/a').socket.peerCloses(code)
  openOn('/a').connection.end('idle', 3008, 'idle timeout')
  openOn('/a').socket.rawGone()
  openOn('/b').socket.peerCloses(1000)
  await clock.flush()
  const { closed } = tracker.stats().routes['/a']!
  assert.deepEqual(closed.toSorted((a, b) => `${a.cause} ${a.code}` < `${b.cause} ${b.code}` ? -1 : 1), [
    { cause: 'client', code: '1000', count: 2 },
    { cause: 'client', code: '1001', count: 1 },
    { cause: 'client', code: '1005', count: 1 },
    { cause: 'client', code: '3000', count: 1 },
    { cause: 'client', code: '3003', count: 1 },
    { cause: 'client', code: '3008', count: 1 },
    { cause: 'client', code: '4001', count: 1 },
    { cause: 'client', code: '4008', count: 1 },
    { cause: 'client', code: 'library', count: 997 },
    { cause: 'client', code: 'private', count: 998 },
    { cause: 'idle', code: '3008', count: 1 },
    { cause: 'network', code: '1006', count: 1 }
  ])
  assert.deepEqual(tracker.stats().routes['/b']!.closed, [{ cause: 'client', code: '1000', count: 1 }])
})

test('messages that arrive are counted with the bytes of their payload, also those that are not delivered', async () => {
  const { tracker, openOn, clock } = setup()
  const { connection, socket } = openOn('/a', { peer: 'silent' })
  socket.peerSends('hé').peerSends(Buffer.alloc(100))
  await clock.flush()
  connection.end('application', 1000, '')
  socket.peerSends('late')
  await clock.flush()
  const { messages, bytes } = tracker.stats().routes['/a']!
  assert.deepEqual([messages.received, bytes.received], [3, 107])
})

for (const [what, data, size] of [
  ['fragments', [Buffer.alloc(3), Buffer.alloc(4)], 7],
  ['an ArrayBuffer', new ArrayBuffer(5), 5],
  ['a Blob', new Blob(['hé']), 3]
] as const) {
  test(`a binary message that ws delivers as ${what} has its size`, () => {
    const { tracker, openOn } = setup()
    openOn('/a').connection.received(data as unknown as Buffer, true)
    const { messages, bytes } = tracker.stats().routes['/a']!
    assert.deepEqual([messages.received, bytes.received], [1, size])
  })
}

test('broadcasts are counted by what has become of them for each connection, those of a closed connection in a drain once', async () => {
  const { tracker, openOn, clock } = setup()
  const [slow, gone] = [openOn('/a', { peer: 'stuck' }), openOn('/a', { peer: 'silent' })]
  openOn('/a')
  slow.socket.bytesPending(10)
  gone.connection.end('application', 1000, '')
  await tracker.broadcast('hello', 'all')
  assert.deepEqual(tracker.stats().broadcasts, { sent: 1, queued: 1, dropped: 1, suppressed: 0 })
  tracker.on('closed', () => { void tracker.broadcast('one has left', 'all') })
  void tracker.drain()
  await clock.run(10_000)
  const { suppressed, ...others } = tracker.stats().broadcasts
  assert.deepEqual([suppressed > 0, others], [true, { sent: 1, queued: 1, dropped: 1 }])
})

test('owners are counted once each, as long as they have a connection', async () => {
  const { tracker, open, clock } = setup()
  const [first, second] = [open({ owner: 'ann' }), open({ owner: 'ann' })]
  open({ owner: 'bob' })
  open()
  assert.equal(tracker.stats().owners, 2)
  first.socket.rawGone()
  await clock.flush()
  assert.equal(tracker.stats().owners, 2)
  second.socket.rawGone()
  await clock.flush()
  assert.equal(tracker.stats().owners, 1)
})

test('the drain is told with what is left of its budget: nothing when it is done', async () => {
  const { tracker, open, clock } = setup({ drain: { timeout: 5_000, settleDelay: 1_000 } })
  assert.equal(tracker.stats().drain, null)
  open({ peer: 'silent' })
  void tracker.drain()
  assert.deepEqual(tracker.stats().drain, { phase: 'settle', remaining: 5_000 })
  await clock.run(900)
  assert.deepEqual(tracker.stats().drain, { phase: 'settle', remaining: 4_100 })
  await clock.run(4_100)
  assert.deepEqual(tracker.stats().drain, { phase: 'done', remaining: 0 })
})

test('the durations of connections that are opened to be refused are not in the histogram', async () => {
  const { tracker, open, statistics, clock } = setup()
  open({ settings: statistics.unrouted }).socket.rawGone()
  await clock.flush()
  const { durations, routes } = tracker.stats()
  assert.deepEqual([routes['none']!.closed[0]!.count, durations.count], [1, 0])
})

test('the durations of closed connections and the round trips of the heartbeat are in histograms', async () => {
  const { tracker, openOn, clock } = setup({ heartbeat: { interval: 1_000 } })
  const { socket } = openOn('/a', { peer: 'silent' })
  await clock.run(2_000)
  const pinged = clock.now()
  socket.peerPongs()
  await clock.run(2_000)
  const { roundTrips } = tracker.stats()
  assert.equal(roundTrips.count, 1)
  assert.ok(roundTrips.sum >= 0 && roundTrips.sum <= pinged)
  socket.rawGone()
  await clock.flush()
  const { durations } = tracker.stats()
  assert.deepEqual([durations.count, durations.sum, durations.counts[1]], [1, 4_000, 1])
})
