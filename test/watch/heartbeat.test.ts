/**
 * The heartbeat as a whole on a fake clock: the dead are found within the bound, and no healthy peer is killed, whatever
 * the clocks, the event loop and the socket do. When it looks at which connection is in base/sweep.test.ts.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { TICK } from '../../lib/base/deadlines.ts'
import type { Pair } from '../helpers/fake-host.ts'
import type { FakeClock } from '../helpers/fake-clock.ts'
import type { FakeSocket } from '../helpers/fake-socket.ts'
import { createHeartbeat as setup, isDead as dead, pingsOf as pings, timeToDeath } from '../helpers/heartbeat-rig.ts'

const alive = (pairs: Pair[]) => pairs.filter(({ connection }) => connection.state === 'open').length

// ——— whom it asks

test('a peer that is heard of twice an interval is never pinged', () => {
  const { clock, open } = setup()
  const { connection, socket } = open()
  for (let i = 0; i < 200; i++) {
    socket.peerSends('still here')
    clock.tick(490)
  }
  assert.deepEqual([pings(socket), connection.state], [0, 'open'])
})

test('a silent peer is pinged once an interval, and its pongs keep it', () => {
  const { clock, open } = setup()
  const { connection, socket } = open({ peer: 'answers' })
  clock.tick(1_000 + TICK)
  assert.equal(pings(socket), 1)
  clock.tick(99_000)
  assert.ok(pings(socket) >= 98 && pings(socket) <= 101, `${pings(socket)} pings in 100 intervals`)
  assert.equal(connection.state, 'open')
})

test('a peer that falls silent is pinged within an interval, once, and not again while its pong is awaited', () => {
  for (const phase of [0, 1, 49, 251, 499, 730]) {
    const { clock, open } = setup({ interval: 1_000, maxMissed: 50 })
    const { socket } = open()
    clock.tick(5_000 + phase)
    socket.peerSends('last words')
    const before = pings(socket)
    clock.tick(1_000 + TICK)
    assert.equal(pings(socket), before + 1, `phase ${phase}`)
    clock.tick(20_000)
    assert.equal(pings(socket), before + 1)
  }
})

for (const [what, act] of [
  ['a message', (socket: FakeSocket) => socket.peerSends('x')],
  ['a pong of ours', (socket: FakeSocket) => socket.peerPongs()],
  ['a pong that is another heartbeat\'s', (socket: FakeSocket) => socket.peerPongs({ ours: false })],
  ['a part of a message', (socket: FakeSocket) => socket.peerSendsBytes(1)]
] as const) {
  test(`${what} at any time is a sign of life, also in the last moment`, () => {
    const { clock, open } = setup({ interval: 400, maxMissed: 1 })
    const { connection, socket } = open()
    // Just before it would be dead, again and again.
    for (let i = 0; i < 30; i++) {
      clock.tick(390 + i)
      act(socket)
    }
    assert.equal(connection.state, 'open')
    clock.tick(800)
    assert.equal(connection.state, 'closed')
  })
}

// ——— the bound

for (const interval of [100, 250, 1_000, 25_000, 60_000, 3_600_000]) {
  // Each tick of the long ones costs the test its time.
  for (const maxMissed of interval > 25_000 ? [1] : [1, 2, 5]) {
    test(`with interval ${interval} and maxMissed ${maxMissed} the dead are found within ${interval * (maxMissed + 1)} ms, and not at once`, () => {
      const bound = interval * (maxMissed + 1)
      for (const part of interval > 100_000 ? [0.77] : [0, 0.001, 0.25, 0.4999, 0.5, 0.77, 0.9999]) {
        const { clock, open } = setup({ interval, maxMissed })
        // Others before it, so that it stands in any group.
        for (let i = 0; i < Math.round(part * 7); i++) open({ peer: 'answers' })
        const pair = open({ peer: 'answers' })
        for (let i = 0; i < 2; i++) clock.tick(interval)
        clock.tick(part * interval)
        pair.socket.peerSends('last words')
        clock.tick(0)
        pair.socket.peer = 'silent'
        const took = timeToDeath(clock, pair, bound)
        assert.ok(took <= bound, `found after ${took} of ${bound} ms, phase ${part}`)
        // From the ping on it has all of its intervals.
        const period = 2 * TICK * Math.floor(interval / 2 / TICK)
        assert.ok(took >= period * maxMissed, `found after ${took} ms already, phase ${part}`)
      }
    })
  }
}

test('a peer that is dead from the start is found within the bound, too', () => {
  for (const wait of [0, 1, 333, 999]) {
    const { clock, open } = setup()
    open({ peer: 'answers' })
    clock.tick(wait)
    assert.ok(timeToDeath(clock, open(), 3_000) <= 3_000)
  }
})

test('the dead one is destroyed without a frame: cause heartbeat, code 1006, not clean', async () => {
  const { host, clock, open } = setup()
  const { connection, socket } = open()
  const { closed } = connection
  clock.tick(5_000)
  await clock.flush()
  const record = await closed
  assert.deepEqual([record.cause, record.code, record.clean, socket.closeFrame, socket.calls.slice(0, 2)], ['heartbeat', 1006, false, undefined, ['ping', 'terminate']])
  assert.equal(host.leftovers, 0)
})

test('among many only the dead are destroyed', () => {
  const { clock, open } = setup()
  const pairs = Array.from({ length: 300 }, (_, i) => open({ peer: i % 3 === 0 ? 'silent' : 'answers' }))
  clock.tick(30_000)
  for (const [i, { connection }] of pairs.entries()) assert.equal(connection.state, i % 3 === 0 ? 'closed' : 'open')
})

// ——— the event loop stands still

for (const stall of [60, 500, 3_000, 10_000, 3_600_000]) {
  for (const maxMissed of [1, 2]) {
    test(`a stall of ${stall} ms at any moment kills no peer that answers: maxMissed ${maxMissed}`, () => {
      for (const phase of [0, 24, 51, 249, 505, 760, 990]) {
        const { clock, crowd } = setup({ interval: 1_000, maxMissed })
        const pairs = crowd(40, { peer: 'answers' })
        clock.tick(3_000 + phase)
        for (let i = 0; i < 5; i++) {
          clock.stall(stall)
          clock.tick(TICK)
        }
        clock.tick(5_000)
        assert.equal(alive(pairs), 40, `phase ${phase}`)
      }
    })
  }
}

for (const [interval, stall] of [[100, 60], [100, 5_000], [1_000, 400], [1_000, 2_500], [1_000, 60_000]] as const) {
  test(`stalls of ${stall} ms in a row, one before each tick of ${interval} ms, kill no peer that answers`, () => {
    const { clock, crowd } = setup({ interval, maxMissed: 1 })
    const pairs = crowd(25, { peer: 'answers' })
    for (let i = 0; i < 400; i++) {
      clock.stall(stall)
      clock.turn()
    }
    clock.tick(3 * interval)
    assert.equal(alive(pairs), 25)
  })
}

test('stalls in a row put the dead off, but they are found once it runs', () => {
  const { clock, open } = setup()
  const pair = open()
  for (let i = 0; i < 20; i++) {
    clock.stall(10_000)
    clock.turn()
  }
  assert.equal(dead(pair), false)
  assert.ok(timeToDeath(clock, pair, 3_000) <= 3_000)
})

test('a stall is a tick of time: the dead are found though the loop never runs freely', () => {
  const { clock, open } = setup()
  const pair = open()
  let stalls = 0
  for (; !dead(pair); stalls++) {
    assert.ok(stalls < 1_000)
    clock.stall(400)
    clock.tick(0)
  }
  assert.ok(stalls * TICK <= 3_000 + TICK, `${stalls} ticks`)
})

for (const turns of [0, 1]) {
  test(`a pong that waits ${turns} turns away when the peer would be killed saves it`, () => {
    const { clock, open } = setup({ interval: 1_000, maxMissed: 1 })
    const { connection, socket } = open()
    while (pings(socket) === 0) clock.tick(TICK)
    // The last look is two from here; then the loop stands still, with the pong in the kernel.
    clock.tick(1_000 - TICK)
    clock.stall(60)
    const arrive = (left: number): void => { if (left === 0) socket.peerPongs(); else clock.input(() => { arrive(left - 1) }) }
    arrive(turns)
    clock.tick(100)
    assert.equal(connection.state, 'open')
  })
}

test('thousands of pongs that are read over many turns save every peer', () => {
  const { clock, crowd } = setup({ interval: 200, maxMissed: 1 })
  const pairs = crowd(2_000, { peer: 'answers' })
  for (const { socket } of pairs) {
    const { ping } = socket
    socket.ping = function (this: FakeSocket, left) { clock.stall(0.05); ping.call(this, left) }
  }
  clock.tick(5_000)
  assert.equal(alive(pairs), 2_000)
})

// ——— the machine sleeps, clocks jump

for (const [what, sleep] of [
  ['both clocks', (clock: FakeClock) => { clock.stall(60_000) }],
  ['the wall clock alone, as while it is suspended', (clock: FakeClock) => { clock.setWall(clock.wallNow() + 60_000) }]
] as const) {
  test(`a gap of more than an interval in ${what} asks anew, and gives the whole time again`, () => {
    const { clock, open } = setup({ interval: 1_000, maxMissed: 2 })
    const { connection, socket } = open()
    while (pings(socket) === 0) clock.tick(TICK)
    clock.tick(1_900)
    sleep(clock)
    // What was asked before the sleep is lost; without a new ping it would be dead now.
    clock.tick(600)
    assert.deepEqual([pings(socket), connection.state], [2, 'open'])
    socket.peerPongs()
    clock.tick(500)
    assert.equal(connection.state, 'open')
    clock.tick(3_000)
    assert.equal(connection.state, 'closed')
  })
}

test('a gap of less than an interval pings no peer anew', () => {
  const { clock, open } = setup({ interval: 1_000, maxMissed: 3 })
  const { socket } = open()
  while (pings(socket) === 0) clock.tick(TICK)
  clock.stall(900)
  clock.setWall(clock.wallNow() + 50)
  clock.tick(2_000)
  assert.equal(pings(socket), 1)
})

test('a wall clock that is set back changes nothing: the dead are found in time', () => {
  for (const back of [1_000, 3_600_000, 1e12]) {
    const { clock, open } = setup()
    const pair = open()
    clock.tick(700)
    clock.setWall(clock.wallNow() - back)
    assert.ok(timeToDeath(clock, pair, 3_000) <= 3_000)
    assert.equal(pings(pair.socket), 1)
  }
})

test('a wall clock that jumps by hours every tick kills no peer that answers', () => {
  const { clock, crowd } = setup({ interval: 200, maxMissed: 1 })
  const pairs = crowd(10, { peer: 'answers' })
  for (let i = 0; i < 200; i++) {
    clock.setWall(clock.wallNow() + (i % 2 === 0 ? 7_200_000 : -3_600_000))
    clock.tick(TICK)
  }
  assert.equal(alive(pairs), 10)
})

test('after a rest without connections the first gap is no sleep', () => {
  const { clock, open } = setup()
  clock.tick(600_000)
  const pair = open()
  assert.ok(timeToDeath(clock, pair, 3_000) <= 3_000)
  assert.equal(pings(pair.socket), 1)
})

// ——— the second look

for (const [what, show, stuck] of [
  ['a part of a message arrives', ({ socket }) => { socket.bytesRead++ }],
  ['a message that was read before comes out of the inflater', ({ connection }) => { connection.heard = true }],
  ['the application pauses it', ({ socket }) => { socket.pause() }],
  ['a ping that was stuck leaves', ({ socket }) => { socket.bytesPending(0) }, true],
  ['it begins to close', ({ connection }) => { void connection.close() }]
] satisfies Array<[string, (pair: Pair) => void, boolean?]> as Array<[string, (pair: Pair) => void, boolean?]>) {
  test(`one that is about to be destroyed is looked at once more, after input was read: ${what}, and it is not`, () => {
    const open = () => {
      const rig = setup()
      const pair = rig.open()
      if (stuck) pair.socket.bytesPending(100)
      return { clock: rig.clock, pair }
    }
    const control = open()
    const death = timeToDeath(control.clock, control.pair, 3_000)

    /** One at the moment of its death, after so many turns of the event loop. */
    const after = (turns: number): Pair => {
      const { clock, pair } = open()
      clock.tick(death - 1)
      clock.stall(1)
      for (let i = 0; i < turns; i++) clock.turn()
      return pair
    }
    let turns = 0
    while (!after(turns).socket.destroyed) turns++
    const pair = after(turns - 1)
    show(pair)
    pair.socket.clock.turn()
    assert.equal(pair.socket.destroyed, false)
  })
}
