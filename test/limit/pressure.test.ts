/**
 * Pressure: connections are refused, the idlest are evicted a few at a time, and it is over after a while without.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

function setup (options: LifecycleOptions = {}) {
  const state = { under: false, asked: 0 }
  const rig = createTracker({ heartbeat: false, backpressure: false, limits: { pressure: true }, ...options }, 'fatal', {
    isUnderPressure () {
      state.asked++
      return state.under
    }
  })
  const changes = () => rig.asked.filter(([what]) => what === 'pressureChanged').map(([, args]) => args)
  return { ...rig, state, changes, admission: rig.admission! }
}

test('it begins at once, with a handshake that arrives, and is told once', () => {
  const { state, changes, admission } = setup()
  assert.equal(admission.arrived('/'), null)
  state.under = true
  assert.deepEqual([admission.arrived('/'), admission.arrived('/')], ['pressure', 'pressure'])
  assert.deepEqual(changes(), [[true, 0]])
})

test('it is over after five looks without it, not before, and connections are admitted again', async () => {
  const { clock, state, changes, admission, open } = setup()
  open()
  state.under = true
  admission.arrived('/')
  state.under = false
  await clock.run(4_900)
  assert.equal(admission.arrived('/'), 'pressure')
  await clock.run(400)
  assert.equal(admission.arrived('/'), null)
  assert.deepEqual(changes(), [[true, 0], [false, 0]])
})

test('one that comes back in between begins the wait anew', async () => {
  const { clock, state, changes, admission, open } = setup()
  open()
  state.under = true
  admission.arrived('/')
  for (let i = 0; i < 5; i++) {
    state.under = false
    await clock.run(3_000)
    state.under = true
    await clock.run(1_100)
  }
  assert.deepEqual(changes(), [[true, 0]])
})

test('a hundredth of the connections has to go at each look, the idlest first, with 1012 and a delay', async () => {
  const { clock, state, changes, open } = setup()
  const pairs = Array.from({ length: 150 }, () => open())
  await clock.run(3_000)
  for (const { socket } of pairs.slice(0, 100)) socket.peerSends('x')
  await clock.run(1_000)
  state.under = true
  await clock.run(1_050)
  const gone = () => pairs.filter(({ connection }) => connection.state !== 'open')
  assert.deepEqual(gone(), [pairs[100], pairs[101]])
  await clock.run(2_000)
  assert.deepEqual(gone(), pairs.slice(100, 106))
  const { code, reason } = pairs[100]!.socket.closeFrame!
  assert.equal(code, 1012)
  const retry = Number(/^server under pressure; retry=(\d+)$/.exec(reason)![1])
  assert.ok(retry >= 1_000 && retry <= 2_000)
  state.under = false
  await clock.run(6_000)
  assert.deepEqual(changes(), [[true, 0], [false, 6]])
  assert.equal(gone().length, 6)
})

test('who has work in flight is left alone', async () => {
  const { clock, state, open } = setup()
  const [busy, idle] = [open(), open()]
  void busy.connection.track(new Promise(() => {}))
  state.under = true
  await clock.run(3_100)
  assert.deepEqual([busy.connection.state, idle.connection.state], ['open', 'closed'])
})

test('the record says rebalance', async () => {
  const { clock, state, open, tracker } = setup()
  open()
  state.under = true
  await clock.run(1_200)
  assert.deepEqual(tracker.history.map(({ cause, code }) => [cause, code]), [['rebalance', 1012]])
})

test('without connections and without pressure nothing is polled, and nothing is left', async () => {
  const { clock, state, open, tracker } = setup()
  assert.equal(clock.pendingTimers, 0)
  const { socket } = open()
  socket.peerCloses()
  await clock.run(1_200)
  assert.deepEqual([clock.pendingTimers, tracker.leftovers], [0, 0])
  const { asked } = state
  await clock.run(60_000)
  assert.equal(state.asked, asked)
})

test('at the end no look is left, under pressure neither', () => {
  const { clock, state, admission, tracker } = setup()
  state.under = true
  admission.arrived('/')
  admission.left()
  assert.equal(clock.pendingTimers, 1)
  tracker.close()
  assert.deepEqual([clock.pendingTimers, tracker.leftovers], [0, 0])
})

test('observe: no connection is refused or evicted, and both cases are counted', async () => {
  const { clock, state, open, admission, tracker, changes } = setup({ mode: { pressure: 'observe' } })
  const actions: string[] = []
  tracker.on('observed', ({ policy, action }) => { actions.push(`${policy} ${action}`) })
  const pair = open()
  state.under = true
  assert.equal(admission.arrived('/'), null)
  await clock.run(2_100)
  assert.equal(pair.connection.state, 'open')
  assert.deepEqual(actions, ['pressure refuse', 'pressure evict', 'pressure evict'])
  state.under = false
  await clock.run(6_000)
  assert.deepEqual(changes(), [[true, 0], [false, 0]])
})
