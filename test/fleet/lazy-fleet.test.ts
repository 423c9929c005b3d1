import assert from 'node:assert/strict'
import test from 'node:test'
import { createTracker } from '../helpers/tracker-rig.ts'

test('without the option there is no timer, no hook and no line until the fleet is first read', async () => {
  const { clock, tracker, fleet, open, lines } = createTracker({ heartbeat: false, backpressure: false })
  const { timersMade } = clock
  open()
  await clock.run(10_000)
  fleet.draining()
  assert.deepEqual([clock.timersMade, lines.filter(({ message }) => message.startsWith('fleet'))], [timersMade, []])
  void tracker.fleet
  await clock.run(10_000)
  assert.ok(clock.timersMade > timersMade)
  assert.equal(clock.refedTimers, 0)
})

test('a fleet of one answers from its first call on', async () => {
  const { clock, tracker, open, lines } = createTracker()
  open({ route: '/chat' }).connection.setOwner('42')
  open()
  const answers = Promise.all([
    tracker.fleet.count(),
    tracker.fleet.count({ owner: '42' }),
    tracker.fleet.list({ owner: '42' }),
    tracker.fleet.explain({ owner: '42' }),
    tracker.fleet.broadcast('hello', 'all')
  ])
  await clock.flush()
  const [all, owned, list, stories, sent] = await answers
  assert.deepEqual([all, owned, sent], [{ value: 2, complete: true, missing: [] }, { value: 1, complete: true, missing: [] }, { value: { sent: 2, queued: 0, dropped: 0 }, complete: true, missing: [] }])
  assert.deepEqual([list.value.length, list.next, stories.value.length], [1, null, 1])
  const { fleet } = tracker
  assert.equal(fleet, tracker.fleet)
  assert.deepEqual([fleet.state, fleet.ignored, fleet.nodes.map(({ id, connections }) => [id, connections])], ['up', 0, [[fleet.node, 2]]])
  assert.deepEqual(lines.filter(({ message }) => message.startsWith('fleet')).map(({ level }) => level), ['debug'])
})

test('listeners are added and removed, and events that do not exist are refused', () => {
  const { fleet } = createTracker().tracker
  const listener = () => {}
  assert.equal(fleet.on('joined', listener).off('joined', listener), fleet)
  for (const method of ['on', 'off'] as const) {
    assert.throws(() => fleet[method]('closed' as never, listener), { code: 'SOCKETS_ERR_INVALID_ARGUMENT', message: /one of joined, left, lost, up, down, online, offline/ })
    assert.throws(() => fleet[method]('joined', undefined as never), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  }
})

test('a closed fleet of one has no timer; one that is first read after the close does not start', async () => {
  const used = createTracker()
  void used.tracker.fleet
  await used.clock.run(5_000)
  await Promise.all([used.fleet.close(), used.clock.flush()])
  await used.fleet.close()
  assert.equal(used.clock.pendingTimers, 0)
  const unused = createTracker()
  await unused.fleet.close()
  await assert.rejects(unused.tracker.fleet.count(), { code: 'SOCKETS_ERR_FLEET_UNAVAILABLE' })
  await unused.clock.run(5_000)
  assert.equal(unused.clock.pendingTimers, 0)
})
