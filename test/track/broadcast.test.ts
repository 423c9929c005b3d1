/**
 * Broadcasts on the fake clock: slices, order with what is sent to one alone, and what becomes of each connection (S38).
 */
import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'node:test'
import type { Frame } from '../../lib/connection/transport.ts'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import type { FakeSocket } from '../helpers/fake-socket.ts'
import { turn } from '../helpers/records.ts'
import { createTracker } from '../helpers/tracker-rig.ts'
import type { TrackerRig } from '../helpers/tracker-rig.ts'

/** A tracker whose writes take time: as many milliseconds as `takes` was told. */
function setup (options: LifecycleOptions = {}) {
  const rig = createTracker({ heartbeat: false, backpressure: false, ...options }, 'fatal')
  const { clock, transport } = rig
  let duration = 0
  const { write } = transport
  transport.write = (socket, frame) => {
    clock.stall(duration)
    return write.call(transport, socket, frame)
  }
  const open: TrackerRig['open'] = (facts) => rig.open({ peer: 'silent', ...facts })
  return {
    ...rig,
    open,
    crowd: (count: number, facts: Parameters<typeof open>[0] = {}) => Array.from({ length: count }, () => open(facts)),
    takes: (ms: number) => { duration = ms }
  }
}

/** What a socket put on the wire, in words. */
function wire ({ frames }: FakeSocket): string[] {
  return frames.map((frame) => frame.type === 'message' ? String(frame.data) : frame.type === 'close' ? `close ${frame.code}` : frame.type)
}

/** Whether a promise has settled. */
async function hasSettled (promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  void promise.then(() => { settled = true })
  await turn()
  return settled
}

// ——— to whom

test('a broadcast goes to open connections that match, text as text and bytes as bytes; closing ones are dropped', async () => {
  const { tracker, open } = setup()
  const [a, b, gone] = [open({ owner: 'ann' }), open({ owner: 'bob' }), open({ owner: 'ann' })]
  void gone.connection.close().catch(() => {})
  assert.deepEqual(await tracker.broadcast('hello', { owner: 'ann' }), { sent: 1, queued: 0, dropped: 1 })
  assert.deepEqual(await tracker.broadcast(new Uint8Array([1, 2]), { owner: 'ann', state: 'open' }), { sent: 1, queued: 0, dropped: 0 })
  assert.deepEqual(a.socket.frames, [{ type: 'message', data: 'hello' }, { type: 'message', data: Buffer.from([1, 2]) }])
  assert.deepEqual(wire(b.socket), [])
  assert.deepEqual(wire(gone.socket), ['close 1000'])
})

test('without connections it resolves at once, with zeros', async () => {
  const { tracker, clock } = setup()
  assert.deepEqual(await tracker.broadcast('hello', 'all'), { sent: 0, queued: 0, dropped: 0 })
  assert.equal(clock.idle, true)
})

test('a connection that drains is still sent to', async () => {
  const { tracker, open } = setup()
  const { connection, socket } = open()
  connection.startDraining()
  assert.deepEqual(await tracker.broadcast('bye', 'all'), { sent: 1, queued: 0, dropped: 0 })
  assert.deepEqual(wire(socket), ['bye'])
})

test('what is broadcast is a string or bytes, and the filter says to whom: anything else throws at once', () => {
  const { tracker, open } = setup()
  const { socket } = open()
  for (const data of [undefined, null, 1, {}, ['a'], new ArrayBuffer(2), new DataView(new ArrayBuffer(2)), new Uint16Array(1)]) {
    assert.throws(() => tracker.broadcast(data as never, 'all'), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  }
  for (const filter of [undefined, null, {}, 'everyone', { owner: undefined }]) {
    assert.throws(() => tracker.broadcast('x', filter as never), { code: 'SOCKETS_ERR_INVALID_FILTER' })
  }
  assert.deepEqual(wire(socket), [])
})

test('it goes to the connections that matched at the call: not to later ones, and still to those that match no longer', async () => {
  const { tracker, open, clock, crowd, takes } = setup()
  const members = crowd(6)
  for (const { connection } of members) connection.tag('lobby')
  const outsider = open()
  takes(1)
  const result = tracker.broadcast('x', { tag: 'lobby' })
  const later = open()
  later.connection.tag('lobby')
  outsider.connection.tag('lobby')
  members[5]!.connection.untag('lobby')
  await clock.flush()
  assert.deepEqual(await result, { sent: 6, queued: 0, dropped: 0 })
  assert.deepEqual(members.map(({ socket }) => wire(socket)), members.map(() => ['x']))
  assert.deepEqual([wire(later.socket), wire(outsider.socket)], [[], []])
})

// ——— slices

test('a crowd is served in slices of 2 ms, half of one within the call, with what arrives in between', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(7)
  const served = () => pairs.filter(({ socket }) => socket.frames.length > 0).length
  takes(1)
  const result = tracker.broadcast('x', 'all')
  const seen = [served()]
  while (clock.pendingImmediates > 0) {
    clock.input(() => { seen.push(served()) })
    clock.turn()
  }
  assert.deepEqual([...seen, served()], [1, 1, 3, 5, 7])
  assert.deepEqual(await result, { sent: 7, queued: 0, dropped: 0 })
})

test('a write that takes longer than a slice is one of its own', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(3)
  takes(5)
  void tracker.broadcast('x', 'all')
  for (let expected = 1; expected <= 3; expected++) {
    assert.equal(pairs.filter(({ socket }) => socket.frames.length > 0).length, expected)
    clock.turn()
  }
})

test('many broadcasts to one each behind a crowd stop at the end of a slice, too', async () => {
  const { tracker, clock, open, crowd, takes } = setup()
  crowd(3)
  const owners = Array.from({ length: 10 }, (_, i) => open({ owner: `owner ${i}` }))
  const served = () => owners.filter(({ socket }) => wire(socket).includes('mine')).length
  takes(1)
  const results = [tracker.broadcast('x', { state: 'open' }), ...owners.map((_, i) => tracker.broadcast('mine', { owner: `owner ${i}` }))]
  const seen: number[] = []
  while (clock.pendingImmediates > 0) {
    clock.turn()
    seen.push(served())
  }
  assert.ok(seen.every((count, i) => count - (seen[i - 1] ?? 0) <= 2), seen.join(' '))
  assert.equal(served(), 10)
  await Promise.all(results)
})

test('where the clock stands still a crowd is served within the call, and no turn is asked for', async () => {
  const { tracker, clock, crowd } = setup()
  const pairs = crowd(1_000)
  const result = tracker.broadcast('x', 'all')
  assert.ok(pairs.every(({ socket }) => socket.frames.length === 1))
  assert.equal(clock.immediatesMade, 0)
  assert.deepEqual(await result, { sent: 1_000, queued: 0, dropped: 0 })
})

test('the promise resolves when the last has been served, not before', async () => {
  const { tracker, clock, crowd, takes } = setup()
  crowd(5)
  takes(1)
  const result = tracker.broadcast('x', 'all')
  clock.turn()
  assert.equal(await hasSettled(result), false)
  clock.turn()
  assert.equal(await hasSettled(result), true)
  assert.deepEqual(await result, { sent: 5, queued: 0, dropped: 0 })
})

test('overlapping broadcasts are served first in, first out, each whole before the next', async () => {
  const { tracker, clock, crowd, takes, transport } = setup()
  const pairs = crowd(5)
  const order: string[] = []
  const { write } = transport
  transport.write = (socket, frame) => {
    order.push(Buffer.from(frame.payload).toString())
    return write(socket, frame)
  }
  takes(1)
  const ended: string[] = []
  const results = ['a', 'b', 'c'].map((text) => tracker.broadcast(text, 'all').then((result) => {
    ended.push(text)
    return result
  }))
  assert.deepEqual(order, ['a'])
  await clock.flush()
  assert.equal(order.join(''), 'aaaaabbbbbccccc')
  for (const { socket } of pairs) assert.deepEqual(wire(socket), ['a', 'b', 'c'])
  assert.deepEqual(await Promise.all(results), Array(3).fill({ sent: 5, queued: 0, dropped: 0 }))
  assert.deepEqual(ended, ['a', 'b', 'c'])
})

test('more than 64 under way do not pile up: one more finishes the oldest first', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const sockets = crowd(5).map(({ socket }) => socket)
  takes(3)
  const results = Array.from({ length: 70 }, (_, i) => tracker.broadcast(String(i), 'all'))
  // The first is under way, 63 wait; six had to be finished within the calls.
  assert.deepEqual(sockets.map(({ frames }) => frames.length), [6, 6, 6, 6, 6])
  await clock.flush()
  await Promise.all(results)
  const all = Array.from({ length: 70 }, (_, i) => String(i))
  for (const socket of sockets) assert.deepEqual(wire(socket), all)
})

test('one that is called when all others are over begins anew, at once', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const [first] = crowd(3)
  takes(1)
  for (const text of ['a', 'b']) {
    const result = tracker.broadcast(text, 'all')
    assert.equal(wire(first!.socket).at(-1), text)
    await clock.flush()
    assert.deepEqual(await result, { sent: 3, queued: 0, dropped: 0 })
  }
})

// ——— order with what concerns one alone

for (const filter of ['all', { tag: 'lobby' }] as const) {
  const to = filter === 'all' ? 'all' : 'a tag'

  test(`what is sent to one alone comes after what was broadcast before, and before what was broadcast later (to ${to})`, async () => {
    const { tracker, clock, crowd, takes } = setup()
    const pairs = crowd(9)
    for (const { connection } of pairs) connection.tag('lobby')
    const last = pairs.at(-1)!
    takes(1)
    const results = [tracker.broadcast('a', filter), tracker.broadcast('b', filter)]
    last.socket.send('mine')
    assert.deepEqual(wire(last.socket), ['a', 'b', 'mine'])
    results.push(tracker.broadcast('c', filter))
    last.socket.send('mine too')
    await clock.flush()
    assert.deepEqual(wire(last.socket), ['a', 'b', 'mine', 'c', 'mine too'])
    for (const { socket } of pairs.slice(0, -1)) assert.deepEqual(wire(socket), ['a', 'b', 'c'])
    assert.deepEqual(await Promise.all(results), Array(3).fill({ sent: 9, queued: 0, dropped: 0 }))
  })

  test(`a connection that is closed in the middle gets what was broadcast before, then the close frame (to ${to})`, async () => {
    const { tracker, clock, crowd, takes } = setup()
    const pairs = crowd(9)
    for (const { connection } of pairs) connection.tag('lobby')
    takes(1)
    const first = tracker.broadcast('a', filter)
    void pairs[7]!.connection.close(4_000, 'enough').catch(() => {})
    assert.equal(tracker.disconnect({ where: ({ id }) => id === pairs[8]!.connection.id }), 1)
    const second = tracker.broadcast('b', filter)
    await clock.flush()
    assert.deepEqual(wire(pairs[7]!.socket), ['a', 'close 4000'])
    assert.deepEqual(wire(pairs[8]!.socket), ['a', 'close 3003'])
    assert.deepEqual(await first, { sent: 9, queued: 0, dropped: 0 })
    assert.deepEqual(await second, { sent: 7, queued: 0, dropped: 2 })
  })

  test(`all who are disconnected while it goes on get it first (to ${to})`, async () => {
    const { tracker, clock, crowd, takes } = setup()
    const pairs = crowd(9)
    for (const { connection } of pairs) connection.tag('lobby')
    takes(1)
    const result = tracker.broadcast('a', filter)
    assert.equal(tracker.disconnect(filter), 9)
    for (const { socket } of pairs) assert.deepEqual(wire(socket), ['a', 'close 3003'])
    await clock.flush()
    assert.deepEqual(await result, { sent: 9, queued: 0, dropped: 0 })
  })
}

test('a message to a connection that a broadcast does not reach brings nothing with it', async () => {
  const { tracker, clock, open, crowd, takes } = setup()
  for (const { connection } of crowd(5)) connection.tag('lobby')
  const outsider = open()
  takes(1)
  const result = tracker.broadcast('x', { tag: 'lobby' })
  outsider.socket.send('mine')
  await clock.flush()
  assert.deepEqual(wire(outsider.socket), ['mine'])
  assert.deepEqual(await result, { sent: 5, queued: 0, dropped: 0 })
})

test('a message to a connection that was served brings nothing with it, either', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(5)
  takes(1)
  const result = tracker.broadcast('x', 'all')
  for (let i = 0; i < 3; i++) pairs[0]!.socket.send('mine')
  await clock.flush()
  assert.deepEqual(wire(pairs[0]!.socket), ['x', 'mine', 'mine', 'mine'])
  assert.deepEqual(await result, { sent: 5, queued: 0, dropped: 0 })
})

test('when all were served out of turn, the promise resolves with the next slice', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(6)
  takes(1)
  const result = tracker.broadcast('x', 'all')
  for (const { socket } of pairs) socket.send('mine')
  clock.turn()
  assert.deepEqual(await result, { sent: 6, queued: 0, dropped: 0 })
  for (const { socket } of pairs) assert.deepEqual(wire(socket), ['x', 'mine'])
  assert.equal(clock.pendingImmediates, 0)
})

test('a connection that is closed by its socket in the middle gets it first', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(5)
  takes(1)
  const result = tracker.broadcast('x', 'all')
  pairs[4]!.socket.close(1000)
  await clock.flush()
  assert.deepEqual(wire(pairs[4]!.socket), ['x', 'close 1000'])
  assert.deepEqual(await result, { sent: 5, queued: 0, dropped: 0 })
})

test('a connection that leaves, is cut off or loses its raw socket before its turn is dropped', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(8)
  takes(1)
  const result = tracker.broadcast('x', 'all')
  void pairs[5]!.connection.terminate()
  pairs[6]!.socket.peerCloses()
  pairs[7]!.socket.rawGone()
  await clock.flush()
  assert.deepEqual(await result, { sent: 5, queued: 0, dropped: 3 })
  assert.deepEqual(pairs.slice(5).map(({ socket }) => wire(socket).includes('x')), [false, false, false])
})

// ——— from inside

test('a broadcast from a listener of `closing` waits for the one under way', async () => {
  const { tracker, clock, crowd, takes } = setup({ backpressure: { maxBufferedBytes: 10 } })
  const pairs = crowd(6)
  pairs[0]!.socket.peer = 'stuck'
  takes(1)
  let inner: Promise<unknown> | undefined
  tracker.on('closing', ({ id }) => {
    inner = tracker.broadcast('one has left', { where: (other) => other.id !== id })
    // And so does what is sent to one alone.
    pairs[5]!.socket.send('mine')
  })
  const outer = tracker.broadcast('x'.repeat(11), 'all')
  await clock.flush()
  assert.deepEqual(wire(pairs[0]!.socket), ['x'.repeat(11), 'close 4008'])
  for (const { socket } of pairs.slice(1, 5)) assert.deepEqual(wire(socket), ['x'.repeat(11), 'one has left'])
  assert.deepEqual(wire(pairs[5]!.socket), ['x'.repeat(11), 'one has left', 'mine'])
  assert.deepEqual(await outer, { sent: 5, queued: 1, dropped: 0 })
  assert.deepEqual(await inner, { sent: 5, queued: 0, dropped: 0 })
})

test('a broadcast from a listener of `observed` waits for the one under way', async () => {
  const { tracker, clock, crowd, takes } = setup({ backpressure: { maxBufferedBytes: 30, policy: 'drop' }, mode: { backpressure: 'observe' } })
  const pairs = crowd(6)
  pairs[3]!.socket.bytesPending(25)
  takes(1)
  let inner: Promise<unknown> | undefined
  tracker.on('observed', () => { inner ??= tracker.broadcast('inner', 'all') })
  const outer = tracker.broadcast('outer', 'all')
  await clock.flush()
  for (const { socket } of pairs) assert.deepEqual(wire(socket), ['outer', 'inner'])
  for (const result of [outer, inner]) assert.deepEqual(await result, { sent: 5, queued: 1, dropped: 0 })
})

test('a replaced `send` that throws is a fault of its own connection, and no other\'s', async () => {
  const { tracker, clock, crowd, takes, reports } = setup()
  const pairs = crowd(6)
  const error = new Error('theirs')
  pairs[3]!.socket.send = () => { throw error }
  takes(1)
  const results = [tracker.broadcast('a', 'all'), tracker.broadcast('b', 'all')]
  await clock.flush()
  assert.deepEqual(wire(pairs[3]!.socket), ['close 1011'])
  assert.deepEqual(reports.map(([reported]) => reported), [error])
  for (const { socket } of pairs.filter((_, i) => i !== 3)) assert.deepEqual(wire(socket), ['a', 'b'])
  assert.deepEqual(await Promise.all(results), Array(2).fill({ sent: 5, queued: 0, dropped: 1 }))
})

test('a replaced `send` may send to others: they get what was broadcast before', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(6)
  const { socket } = pairs[3]!
  const { send } = socket
  socket.send = (data) => {
    send.call(socket, data)
    pairs[5]!.socket.send(`copy of ${String(data)}`)
  }
  takes(1)
  const results = [tracker.broadcast('a', 'all'), tracker.broadcast('b', 'all')]
  await clock.flush()
  assert.deepEqual(wire(socket), ['a', 'b'])
  assert.deepEqual(wire(pairs[5]!.socket), ['a', 'b', 'copy of a', 'copy of b'])
  assert.deepEqual(await Promise.all(results), Array(2).fill({ sent: 6, queued: 0, dropped: 0 }))
})

for (const fragmented of [false, true]) {
  test(`a replaced \`send\` may broadcast, to its own connection too, and send ${fragmented ? 'a last fragment' : 'a message'} to another: all get all in order`, async () => {
    const { tracker, clock, crowd, takes } = setup()
    const pairs = crowd(4)
    const { socket } = pairs[1]!
    const { send } = socket
    if (fragmented) pairs[3]!.socket.send('first', { fin: false })
    let inner: Promise<unknown> | undefined
    socket.send = (data) => {
      inner ??= tracker.broadcast('inner', 'all')
      // Handed over to another connection meanwhile, and back here: what is being sent comes before what was broadcast since.
      pairs[3]!.socket.send('aside')
      socket.send = send
      socket.send('before')
      send.call(socket, data)
    }
    takes(1)
    const outer = tracker.broadcast('outer', 'all')
    await clock.flush()
    assert.deepEqual(wire(pairs[0]!.socket), ['outer', 'inner'])
    assert.deepEqual(wire(socket), ['before', 'outer', 'inner'])
    assert.deepEqual(wire(pairs[2]!.socket), ['outer', 'inner'])
    assert.deepEqual(wire(pairs[3]!.socket), fragmented ? ['first', 'aside', 'outer', 'inner'] : ['outer', 'inner', 'aside'])
    for (const result of [outer, inner]) assert.deepEqual(await result, fragmented ? { sent: 3, queued: 1, dropped: 0 } : { sent: 4, queued: 0, dropped: 0 })
  })
}

test('a replaced `send` that broadcasts more than 64 times has each of them go to all once, in order', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(4)
  const { socket } = pairs[1]!
  const { send } = socket
  const inner: Array<Promise<unknown>> = []
  socket.send = (data) => {
    socket.send = send
    for (let i = 0; i < 70; i++) inner.push(tracker.broadcast(String(i), 'all'))
    socket.send(data)
  }
  takes(1)
  const outer = tracker.broadcast('outer', 'all')
  await clock.flush()
  const all = ['outer', ...Array.from({ length: 70 }, (_, i) => String(i))]
  for (const pair of pairs) assert.deepEqual(wire(pair.socket), all)
  for (const result of [outer, ...inner]) assert.deepEqual(await result, { sent: 4, queued: 0, dropped: 0 })
})

test('what was held back for the end of a fragmented message comes before what a replaced `send` broadcasts meanwhile', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const { socket } = crowd(2)[1]!
  const { send } = socket
  socket.send('part 1', { fin: false })
  void tracker.broadcast('a', 'all')
  void tracker.broadcast('b', 'all')
  socket.send = (...args) => {
    if (args[0] === 'a') void tracker.broadcast('c', 'all')
    send.apply(socket, args)
  }
  takes(1)
  send.call(socket, 'last part')
  await clock.flush()
  assert.deepEqual(wire(socket), ['part 1', 'last part', 'a', 'b', 'c'])
})

test('a send during a broadcast looks at no connection but its own', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(100)
  takes(1)
  const result = tracker.broadcast('a', 'all')
  let looks = 0
  for (const { connection } of pairs.slice(0, 99)) {
    const { pendingBroadcasts } = connection
    Object.defineProperty(connection, 'pendingBroadcasts', { configurable: true, get: () => { looks++; return pendingBroadcasts } })
  }
  pairs[99]!.socket.send('mine')
  assert.deepEqual([wire(pairs[99]!.socket), looks], [['a', 'mine'], 0])
  for (const { connection } of pairs.slice(0, 99)) {
    const { pendingBroadcasts } = connection
    Object.defineProperty(connection, 'pendingBroadcasts', { configurable: true, writable: true, value: pendingBroadcasts })
  }
  await clock.flush()
  assert.deepEqual(await result, { sent: 100, queued: 0, dropped: 0 })
})

test('data that cannot be read throws at the call, also without connections', () => {
  const { tracker, open } = setup()
  const detached = new Uint8Array(8)
  structuredClone(detached.buffer, { transfer: [detached.buffer] })
  for (const members of [0, 1]) {
    for (let i = 0; i < members; i++) open()
    for (const data of [detached, Object.create(Uint8Array.prototype)]) {
      assert.throws(() => tracker.broadcast(data as never, 'all'), { code: 'SOCKETS_ERR_INVALID_ARGUMENT', message: /^data must be a string or bytes that can be read, got / })
    }
  }
  assert.equal(tracker.list().every(({ socket }) => (socket as unknown as FakeSocket).frames.length === 0), true)
})

test('what the caller does with its bytes after the call changes nothing, for those who wait too', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(5)
  takes(1)
  const bytes = new Uint8Array(Buffer.from('hello'))
  const result = tracker.broadcast(bytes, 'all')
  bytes.fill(120)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  await clock.flush()
  for (const { socket } of pairs) assert.deepEqual(wire(socket), ['hello'])
  assert.deepEqual(await result, { sent: 5, queued: 0, dropped: 0 })
})

// ——— fragmented messages

test('a connection in the middle of a fragmented message gets broadcasts after its last fragment, in order', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const pairs = crowd(5)
  const { socket } = pairs[4]!
  socket.send('part 1', { fin: false })
  takes(1)
  const results = [tracker.broadcast('a', 'all'), tracker.broadcast('b', 'all')]
  socket.send('part 2', { fin: false })
  await clock.flush()
  assert.deepEqual(await Promise.all(results), Array(2).fill({ sent: 4, queued: 1, dropped: 0 }))
  assert.deepEqual(wire(socket), ['part 1', 'part 2'])
  socket.send('last part')
  socket.send('mine')
  assert.deepEqual(wire(socket), ['part 1', 'part 2', 'last part', 'a', 'b', 'mine'])
  assert.deepEqual(await tracker.broadcast('c', { where: ({ id }) => id === pairs[4]!.connection.id }), { sent: 1, queued: 0, dropped: 0 })
})

test('a message whose fragments begin while a broadcast goes on comes after it', async () => {
  const { tracker, clock, crowd, takes } = setup()
  const { socket } = crowd(5)[4]!
  takes(1)
  const result = tracker.broadcast('a', 'all')
  socket.send('part 1', { fin: false })
  const later = tracker.broadcast('b', 'all')
  await clock.flush()
  socket.send('last part')
  assert.deepEqual(wire(socket), ['a', 'part 1', 'last part', 'b'])
  assert.deepEqual([await result, await later], [{ sent: 5, queued: 0, dropped: 0 }, { sent: 4, queued: 1, dropped: 0 }])
})

test('a connection that closes in the middle of a fragmented message does not get what was held back', async () => {
  const { tracker, open } = setup()
  const { connection, socket } = open()
  socket.send('part 1', { fin: false })
  assert.deepEqual(await tracker.broadcast('a', 'all'), { sent: 0, queued: 1, dropped: 0 })
  void connection.close().catch(() => {})
  assert.deepEqual(wire(socket), ['part 1', 'close 1000'])
})

test('what was held back and is too much, or meets a `send` that throws, ends its connection once', async () => {
  const { tracker, broadcasts, open, reports } = setup()
  const { connection, socket } = open()
  const { send } = socket
  socket.send = (...args) => { if (args[0] === 'last part') send.apply(socket, args); else throw new Error('theirs') }
  send.call(socket, 'part 1', { fin: false })
  for (const text of ['a', 'b', 'c']) void tracker.broadcast(text, 'all')
  socket.send('last part')
  assert.deepEqual(wire(socket), ['part 1', 'last part', 'close 1011'])
  assert.deepEqual([reports.length, broadcasts.heldBytes(connection)], [1, 0])
})

for (const [policy, expected] of [['drop', { state: 'open', queued: 9, frames: 11 }], ['close', { state: 'closing', queued: 11, frames: 2 }]] as const) {
  test(`${policy}: what is held back for the end of a fragmented message is bounded, too`, async () => {
    const { tracker, open } = setup({ backpressure: { maxBufferedBytes: 1_000, policy } })
    const { connection, socket } = open()
    socket.send('part 1', { fin: false })
    const results = await Promise.all(Array.from({ length: 50 }, () => tracker.broadcast('x'.repeat(100), 'all')))
    if (policy === 'drop') socket.send('last part')
    assert.deepEqual({ state: connection.state, queued: results.filter(({ queued }) => queued === 1).length, frames: socket.frames.length }, expected)
  })
}

test('a listener of `observed` that closes the connection has it dropped', async () => {
  const { tracker, open } = setup({ backpressure: { maxBufferedBytes: 10, policy: 'drop' }, mode: { backpressure: 'observe' } })
  const { connection, socket } = open({ peer: 'stuck' })
  tracker.on('observed', () => { void connection.close().catch(() => {}) })
  assert.deepEqual(await tracker.broadcast('x'.repeat(11), 'all'), { sent: 0, queued: 0, dropped: 1 })
  assert.deepEqual(wire(socket), ['close 1000'])
})

// ——— slow readers

test('drop: frames that would be too much are skipped and counted, and no connection is closed', async () => {
  const { tracker, open } = setup({ backpressure: { maxBufferedBytes: 1_000, policy: 'drop' } })
  const [slow, prompt] = [open({ peer: 'stuck' }), open()]
  const sum = { sent: 0, queued: 0, dropped: 0 }
  for (let i = 0; i < 20; i++) {
    const result = await tracker.broadcast('x'.repeat(100), 'all')
    for (const key of ['sent', 'queued', 'dropped'] as const) sum[key] += result[key]
  }
  const taken = wire(slow.socket).length
  assert.deepEqual([slow.connection.state, prompt.connection.state, wire(prompt.socket).length], ['open', 'open', 20])
  assert.ok(slow.socket.pending <= 1_000)
  assert.deepEqual(sum, { sent: 20, queued: taken, dropped: 20 - taken })
  assert.ok(taken >= 8 && taken <= 10)
  // It has caught up.
  slow.socket.peer = 'silent'
  slow.socket.bytesPending(0)
  assert.deepEqual(await tracker.broadcast('again', 'all'), { sent: 2, queued: 0, dropped: 0 })
})

test('drop: what is skipped is judged when its turn comes, not at the call', async () => {
  const { tracker, clock, crowd, takes } = setup({ backpressure: { maxBufferedBytes: 100, policy: 'drop' } })
  const pairs = crowd(6)
  pairs[4]!.socket.bytesPending(95)
  takes(1)
  const result = tracker.broadcast('x'.repeat(10), 'all')
  pairs[4]!.socket.bytesPending(0)
  pairs[5]!.socket.bytesPending(95)
  await clock.flush()
  assert.deepEqual(await result, { sent: 5, queued: 0, dropped: 1 })
  assert.deepEqual([wire(pairs[4]!.socket).length, wire(pairs[5]!.socket).length], [1, 0])
})

test('drop: what is sent to one alone does not skip what was broadcast before and has room', async () => {
  const { tracker, clock, crowd, takes } = setup({ backpressure: { maxBufferedBytes: 100, policy: 'drop' } })
  const pairs = crowd(6)
  pairs[4]!.socket.bytesPending(50)
  pairs[5]!.socket.bytesPending(95)
  takes(1)
  const result = tracker.broadcast('x', 'all')
  pairs[4]!.socket.send('mine')
  pairs[5]!.socket.send('mine')
  await clock.flush()
  assert.deepEqual([wire(pairs[4]!.socket), wire(pairs[5]!.socket)], [['x', 'mine'], ['mine']])
  assert.deepEqual(await result, { sent: 4, queued: 1, dropped: 1 })
})

test('drop: what is sent to one alone closes it all the same', () => {
  const { connection, socket } = setup({ backpressure: { maxBufferedBytes: 10, policy: 'drop' } }).open({ peer: 'stuck' })
  socket.send('x'.repeat(11))
  assert.equal(connection.state, 'closing')
})

test('close: a broadcast that is too much closes the connections that do not take it', async () => {
  const { tracker, open } = setup({ backpressure: { maxBufferedBytes: 1_000 } })
  const [slow, prompt] = [open({ peer: 'stuck' }), open()]
  const results = await Promise.all(Array.from({ length: 20 }, () => tracker.broadcast('x'.repeat(100), 'all')))
  assert.deepEqual([slow.connection.state, prompt.connection.state], ['closing', 'open'])
  const taken = wire(slow.socket).length - 1
  assert.deepEqual(results, Array.from({ length: 20 }, (_, i) => ({ sent: 1, queued: i < taken ? 1 : 0, dropped: i < taken ? 0 : 1 })))
})

// ——— with a drain, and after it

test('a drain that starts in the middle closes a connection only after what was broadcast before', async () => {
  const { tracker, clock, open, takes } = setup({ closeTimeout: 100, drain: { timeout: 2_000 } })
  const pairs = Array.from({ length: 12 }, () => open({ peer: 'answers' }))
  takes(1)
  const results = [tracker.broadcast('a', 'all'), tracker.broadcast('b', 'all')]
  const drained = tracker.drain()
  await clock.run(3_000)
  assert.deepEqual(await Promise.all(results), Array(2).fill({ sent: 12, queued: 0, dropped: 0 }))
  for (const { socket } of pairs) assert.deepEqual(wire(socket), ['a', 'b', 'close 1012'])
  assert.equal((await drained).connections.clean, 12)
})

test('after a drain a broadcast reaches no connection', async () => {
  const { tracker, clock, open } = setup()
  open({ peer: 'answers' })
  const drained = tracker.drain()
  await clock.run(60_000)
  await drained
  assert.deepEqual(await tracker.broadcast('x', 'all'), { sent: 0, queued: 0, dropped: 0 })
})

test('nothing is kept of what is over: neither frames nor connections, timers or turns', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { tracker, clock, transport, crowd, takes } = setup({ history: 0 })
  const frames: Array<WeakRef<Frame>> = []
  const { frame } = transport
  transport.frame = (data) => {
    const made = frame.call(transport, data)
    frames.push(new WeakRef(made))
    return made
  }
  const connections = await (async () => {
    const pairs = crowd(6)
    pairs[5]!.socket.send('part 1', { fin: false })
    takes(1)
    const results = [tracker.broadcast('a', 'all'), tracker.broadcast('b', 'all')]
    pairs[4]!.socket.send('mine')
    await clock.flush()
    await Promise.all(results)
    pairs[5]!.socket.send('last part')
    for (const { socket } of pairs) socket.peerCloses()
    await clock.flush()
    return pairs.map(({ connection }) => new WeakRef(connection))
  })()
  // Sockets that were asked for something.
  transport.calls.length = 0
  for (let i = 0; i < 3; i++) {
    await turn()
    collect()
  }
  assert.deepEqual([frames.length, connections.length], [2, 6])
  // In numbers: shown whole, a connection is endless.
  const left = [...frames, ...connections].map((ref) => ref.deref() !== undefined)
  assert.deepEqual(left, left.map(() => false))
  assert.deepEqual([tracker.leftovers, clock.pendingTimers, clock.pendingImmediates], [0, 0, 0])
})
