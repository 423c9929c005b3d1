/**
 * The idle timeout on a fake clock: what counts as a message, when it comes, and when it does not.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { TICK } from '../../lib/base/deadlines.ts'
import type { RouteSettings, Settings } from '../../lib/connection/settings.ts'
import { Idle } from '../../lib/watch/idle.ts'
import { createFakeHost, NO_SETTINGS } from '../helpers/fake-host.ts'
import type { Pair } from '../helpers/fake-host.ts'
import type { FakeSocket } from '../helpers/fake-socket.ts'

const MINUTE = 60_000

/** A host whose connections are watched, as the tracker does it. */
function setup (settings: Partial<Settings> = { idleTimeout: MINUTE }) {
  const host = createFakeHost({ settings })
  const { clock } = host
  const idle = new Idle(host)
  host.hooks.add(idle, 'idleTimeoutSet', 'closing')
  const open = (options: Parameters<typeof host.connect>[0] = {}): Pair => {
    const pair = host.connect({ peer: 'answers', ...options })
    idle.opened(pair.connection)
    return pair
  }
  /** Asserts that one starts to close this long from now: never sooner, and at most two ticks later. */
  const assertLives = ({ connection }: Pair, expected: number): void => {
    const start = clock.now()
    while (connection.state === 'open') {
      assert.ok(clock.now() - start < 100 * MINUTE && clock.pendingTimers > 0, 'it lives for ever')
      clock.tick(clock.nextTimerIn)
    }
    const lived = clock.now() - start
    assert.ok(lived >= expected && lived <= expected + 2 * TICK, `lived ${lived} ms instead of ${expected}`)
  }
  return { host, clock, open, assertLives }
}

test('a client that never says anything is closed: 3008, idle timeout, a clean close, nothing left', async () => {
  const { host, clock, open, assertLives } = setup()
  const pair = open()
  const { closed } = pair.connection
  assertLives(pair, MINUTE)
  await clock.flush()
  const { cause, code, reason, clean } = await closed
  assert.deepEqual([cause, code, reason, clean], ['idle', 3008, 'idle timeout', true])
  assert.deepEqual([host.leftovers, clock.idle], [0, true])
})

test('a timeout of any length is waited for in full, and not much longer', () => {
  for (const timeout of [1, 49, 50, 51, 100, 999, 30_000, 10 * MINUTE]) {
    for (const phase of [0, 1, 26, 49.5]) {
      const { clock, open, assertLives } = setup({ idleTimeout: timeout })
      open()
      clock.tick(phase)
      assertLives(open(), timeout)
    }
  }
})

test('the time starts anew with each message, at whatever moment it comes', () => {
  for (const pause of [100, 1_234, 30_000, MINUTE - 1]) {
    const { clock, open, assertLives } = setup()
    const pair = open()
    for (let i = 0; i < 20; i++) {
      clock.tick(pause)
      pair.socket.peerSends('x')
      clock.tick(0)
      assert.equal(pair.connection.state, 'open', `after ${pause} ms`)
    }
    assertLives(pair, MINUTE)
  }
})

test('a message costs no move in the wheel', () => {
  const { clock, host, open } = setup()
  const { socket } = open()
  clock.tick(1_000)
  const { set } = host.running
  let moves = 0
  host.running.set = function (...args) { moves++; set.apply(this, args) }
  for (let i = 0; i < 1_000; i++) socket.peerSends('x')
  clock.tick(10_000)
  assert.equal(moves, 0)
})

for (const [what, act] of [
  ['a pong', (socket: FakeSocket) => socket.peerPongs()],
  ['a part of a message', (socket: FakeSocket) => socket.peerSendsBytes(100)],
  ['what the server sends', (socket: FakeSocket) => socket.send('news')],
  ['a ping of ours', (socket: FakeSocket) => socket.ping(() => {})]
] as const) {
  test(`${what} is no message: the client is idle all the same`, () => {
    const { clock, open, assertLives } = setup()
    const pair = open()
    for (let i = 0; i < 5; i++) {
      clock.tick(10_000)
      act(pair.socket)
    }
    assertLives(pair, MINUTE - 50_000)
  })
}

// ——— stalls, pauses

for (const stall of [500, 59_000, 61_000, 3_600_000]) {
  test(`a stall of ${stall} ms is no silence: a message that waits unread keeps its client, and the others have their time`, () => {
    const { clock, open, assertLives } = setup()
    const [talks, silent] = [open(), open()]
    clock.tick(50_000)
    clock.stall(stall)
    talks.socket.peerSends('I was here')
    clock.tick(2 * TICK)
    assert.deepEqual([talks.connection.state, silent.connection.state], ['open', 'open'])
    const start = clock.now()
    while (silent.connection.state === 'open') clock.tick(TICK)
    const lived = clock.now() - start
    assert.ok(lived <= 10_000 + 3 * TICK && lived >= 10_000 - 5 * TICK, `${lived} ms more`)
    assertLives(talks, MINUTE - lived - 2 * TICK)
  })
}

for (const stall of [TICK, 2 * TICK, 3_600_000]) {
  test(`a message that comes in time, while the event loop stands still for ${stall} ms in the turn of the deadline, keeps its client`, () => {
    for (let pause = MINUTE - 3 * TICK; pause < MINUTE; pause++) {
      const { clock, open } = setup()
      const { connection, socket } = open()
      // The deadline is due in this tick, set anew until then.
      clock.tick(MINUTE - pause)
      socket.peerSends('before')
      clock.tick(pause - 1)
      clock.pass(1)
      // Read in the turn in which the timer of the deadlines fires, and takes so long.
      clock.input(() => {
        clock.stall(stall)
        socket.peerSends('in time')
      })
      clock.turn()
      assert.equal(connection.state, 'open', `${pause} ms after the last one`)
      clock.tick(MINUTE - stall % MINUTE)
      assert.equal(connection.state, 'open', `${pause} ms after the last one, and read`)
    }
  })
}

test('a wall clock that is set makes no connection idle', () => {
  const { clock, open, assertLives } = setup()
  const pair = open()
  clock.tick(10_000)
  clock.setWall(clock.wallNow() + 3_600_000)
  clock.tick(10_000)
  clock.setWall(0)
  assertLives(pair, MINUTE - 20_000)
})

test('a paused socket is not idle: its messages are not read; once resumed it has its time', () => {
  const { clock, open } = setup()
  const { connection, socket } = open()
  socket.pause()
  clock.tick(10 * MINUTE)
  assert.equal(connection.state, 'open')
  socket.resume()
  socket.peerSends('x')
  clock.tick(MINUTE - 1)
  assert.equal(connection.state, 'open')
  clock.tick(2 * MINUTE)
  assert.equal(connection.state, 'closed')
})

// ——— setting it

test('it is set, changed and switched off at any time, and counts from then', () => {
  const { host, clock, open, assertLives } = setup({})
  const pair = open()
  clock.tick(10 * MINUTE)
  pair.connection.idleTimeout = 1_000
  clock.tick(900)
  pair.connection.idleTimeout = 1_000
  clock.tick(900)
  pair.connection.idleTimeout = MINUTE
  clock.tick(MINUTE - 1)
  assert.equal(pair.connection.state, 'open')
  pair.connection.idleTimeout = false
  assert.deepEqual([host.running.size, clock.pendingTimers], [0, 0])
  clock.tick(10 * MINUTE)
  pair.connection.idleTimeout = 500
  assertLives(pair, 500)
})

test('a shorter one takes effect at once, not when the longer would have been over', () => {
  const { clock, open, assertLives } = setup({ idleTimeout: 60 * MINUTE })
  const pair = open()
  clock.tick(MINUTE)
  pair.connection.idleTimeout = 1_000
  assertLives(pair, 1_000)
})

test('it may be set in a message listener', () => {
  const { clock, open, assertLives } = setup()
  const pair = open()
  pair.socket.onMessage = () => { pair.connection.idleTimeout = 5_000 }
  clock.tick(1_000)
  pair.socket.peerSends('hello')
  clock.tick(0)
  assertLives(pair, 5_000)
})

test('routes differ', () => {
  const { clock, open } = setup()
  const settings = (idleTimeout: number | false): RouteSettings => ({ ...NO_SETTINGS, idleTimeout })
  const [own, off, plain] = [open({ settings: settings(1_000) }), open({ settings: settings(false) }), open()]
  const states = () => [own, off, plain].map(({ connection }) => connection.state)
  clock.tick(1_000 + 3 * TICK)
  assert.deepEqual(states(), ['closed', 'open', 'open'])
  clock.tick(10 * MINUTE)
  assert.deepEqual(states(), ['closed', 'open', 'closed'])
})

// ——— states

test('once the connection is draining it is ignored, also when it is set then', () => {
  const { clock, open } = setup()
  const pairs = [open(), open()]
  for (const { connection } of pairs) connection.startDraining()
  pairs[1]!.connection.idleTimeout = 1
  clock.tick(10 * MINUTE)
  assert.deepEqual(pairs.map(({ connection }) => connection.state), ['draining', 'draining'])
})

for (const state of ['closing', 'closed'] as const) {
  test(`on a ${state} connection it is kept, does nothing and leaves no deadline`, async () => {
    const { host, clock, open } = setup()
    const { connection } = open({ peer: state === 'closed' ? 'answers' : 'silent' })
    connection.end('application', 4000, '')
    await clock.flush()
    assert.equal(connection.state, state)
    assert.equal(host.running.size, 0)
    connection.idleTimeout = 1
    assert.deepEqual([connection.idleTimeout, host.running.size], [1, 0])
  })
}

test('where it is off nothing ticks', () => {
  const { host, clock, open } = setup({})
  open()
  assert.deepEqual([clock.timersMade, host.running.size], [0, 0])
})

test('thousands that are idle at once are closed in slices', () => {
  const { clock, open } = setup()
  const turns: number[] = []
  let closed = 0
  for (let i = 0; i < 3_000; i++) {
    const { socket } = open({ peer: 'silent' })
    const { close } = socket
    socket.close = function (...args) {
      closed++
      clock.stall(0.1)
      if (closed % 10 === 0) clock.input(() => { turns.push(closed) })
      close.apply(this, args)
    }
  }
  clock.tick(MINUTE + 1_000)
  assert.equal(closed, 3_000)
  const longest = Math.max(...turns.map((count, i) => count - (turns[i - 1] ?? 0)))
  assert.ok(longest <= 40, `${longest} of 0.1 ms without a look at the input`)
})

test('messages are heard of from the first idle timeout on, once', () => {
  const { host, open } = setup({ idleTimeout: false })
  const { connection } = open()
  assert.equal(host.hooks.received.length, 0)
  connection.idleTimeout = MINUTE
  connection.idleTimeout = 2 * MINUTE
  assert.equal(host.hooks.received.length, 1)
})
