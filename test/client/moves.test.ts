/**
 * Moves: the next connection opens and is prepared while the application uses the current one, and takes its place. Where that fails,
 * the current one goes on.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { lifecycle } from '../../lib/client/index.ts'
import type { NextConnection } from '../../lib/client/index.ts'
import { CONTROL } from '../../lib/client/link.ts'
import { generator } from '../helpers/generator.ts'
import { fakeBase, fakeTime, frameFor, newAddress, offersOf, record } from './fake-base.ts'
import type { FakeSocket } from './fake-base.ts'
import { askToMove, ID, MOVED, openOne } from './move-rig.ts'

test('a move is seen by the application as messages in order, and loses none', async (t) => {
  const { clock, made, url, socket, events } = await openOne(t)
  const [old] = made as [FakeSocket]
  socket.binaryType = 'arraybuffer'
  askToMove(old, 200)
  await clock.run(199)
  assert.equal(made.length, 1)
  await clock.run(1)
  const next = made[1]!
  assert.deepEqual([next.url, offersOf(next), next.binaryType], [url, ['lifecycle.v1', `lifecycle.v1.${ID}`], 'arraybuffer'])
  socket.send('a')
  old.receive('1')
  next.open()
  socket.send('b')
  await clock.flush()
  assert.deepEqual(old.sent, ['a', 'b', MOVED])
  socket.send('c')
  next.receive('3')
  old.receive('2')
  await clock.flush()
  assert.deepEqual([events, next.sent, old.sent.length], [['open', 'message 1', 'message 2'], ['c'], 3])
  old.end(1012, 'moved')
  await clock.flush()
  next.receive('4')
  assert.deepEqual(events, ['open', 'message 1', 'message 2', 'message 3', 'message 4'])
  next.end(1001, 'bye')
  await clock.flush()
  assert.deepEqual([events.at(-1), socket.readyState], ['close 1001 bye', 3])
  assert.ok(clock.idle)
})

test('of several requests before a move the last one counts', async (t) => {
  const { clock, made } = await openOne(t)
  askToMove(made[0]!, 100)
  askToMove(made[0]!, 300, 'b'.repeat(22))
  await clock.run(299)
  assert.equal(made.length, 1)
  await clock.run(1)
  assert.deepEqual(offersOf(made[1]!), ['lifecycle.v1', `lifecycle.v1.${'b'.repeat(22)}`])
  askToMove(made[0]!)
  await clock.run(10)
  assert.equal(made.length, 2)
})

test('a turn that no timer can wait for does not come at once', async (t) => {
  const { clock, made } = await openOne(t)
  askToMove(made[0]!, 2 ** 31)
  await clock.run(60_000)
  assert.equal(made.length, 1)
})

test('address and subprotocols are asked again for a move', async (t) => {
  const clock = fakeTime(t)
  const { Base, made } = fakeBase()
  let token = 0
  const address = newAddress()
  const socket = new (lifecycle(Base))(() => `${address}?token=${++token}`)
  await clock.flush()
  made[0]!.open()
  await clock.flush()
  askToMove(made[0]!)
  await clock.run(1)
  made[1]!.open()
  await clock.flush()
  assert.deepEqual([made[1]!.url, socket.url], [`${address}?token=2`, `${address}?token=2`])
})

test('the address of a move is that of the socket from the move on: what its closes say counts there', async (t) => {
  const clock = fakeTime(t)
  const { Base, made } = fakeBase()
  const rooms = [newAddress(), newAddress(), newAddress()]
  const Socket = lifecycle(Base)
  let asked = 0
  const socket = new Socket(() => rooms[asked++]!)
  await clock.flush()
  made[0]!.open()
  await clock.flush()
  t.mock.method(Math, 'random', () => 0)
  askToMove(made[0]!)
  await clock.run(1)
  made[1]!.fail()
  await clock.run(1)
  assert.deepEqual([made[2]!.url, socket.url], [rooms[2], rooms[0]])
  made[2]!.open()
  await clock.flush()
  assert.equal(socket.url, rooms[2])
  made[2]!.end(1012, 'service restart; retry=5000')
  await clock.flush()
  for (const room of rooms) void new Socket(room)
  await clock.run(4_999)
  assert.deepEqual(made.slice(3).map(({ url }) => url), rooms.slice(0, 2))
  await clock.run(1)
  assert.equal(made[5]!.url, rooms[2])
})

/** Ways in which an attempt to move fails; each is tried four times. */
const FAILURES: Record<string, (next: FakeSocket, rest: { clock: Awaited<ReturnType<typeof openOne>>['clock'], prepared: { fail: () => void } }) => unknown> = {
  'is refused': (next) => { next.fail() },
  'never opens': (_next, { clock }) => clock.run(10_000),
  'opens with another subprotocol': (next) => { next.open('v2') },
  'closes while it is prepared': async (next, { clock }) => {
    next.open()
    await clock.flush()
    next.end(1013, 'no room; retry=5000')
  },
  'is cut while it is prepared': async (next, { clock }) => {
    next.open()
    await clock.flush()
    next.fail()
  },
  'cannot be prepared': async (next, { clock, prepared }) => {
    next.open()
    await clock.flush()
    prepared.fail()
  },
  'is not prepared in time': async (next, { clock }) => {
    next.open()
    await clock.run(10_000)
  }
}

for (const [what, fail] of Object.entries(FAILURES)) {
  test(`a next connection that ${what} is tried four times, and the current one works on`, async (t) => {
    const prepared = { fail: () => {} }
    const rig = await openOne(t, { prepare: () => new Promise((_resolve, reject) => { prepared.fail = () => { reject(new Error('no')) } }) })
    const { clock, made, works } = rig
    const random = t.mock.method(Math, 'random', () => 1)
    askToMove(made[0]!)
    const delays: number[] = []
    for (let attempt = 1; attempt <= 4; attempt++) {
      const before = clock.now()
      for (await clock.flush(); made.length === attempt; await clock.run(clock.nextTimerIn)) assert.ok(clock.nextTimerIn <= 800)
      delays.push(clock.now() - before)
      await fail(made[attempt]!, { clock, prepared })
      await works(made[0]!)
    }
    assert.deepEqual(delays, [1, 200, 400, 800])
    await clock.run(60_000)
    assert.equal(made.length, 5)
    assert.deepEqual(made.map(({ readyState }) => readyState), [1, 3, 3, 3, 3])
    await works(made[0]!)
    assert.ok(!made[0]!.sent.includes(MOVED))
    // The server may ask again.
    random.mock.restore()
    askToMove(made[0]!)
    await clock.run(1)
    assert.equal(made.length, 6)
  })
}

test('prepare that throws, and an address that cannot be asked, are failed attempts', async (t) => {
  let calls = 0
  let token = 0
  const clock = fakeTime(t)
  const { Base, made } = fakeBase()
  const Socket = lifecycle(Base, { prepare: () => { if (++calls < 3) throw new Error('not yet') } })
  const address = newAddress()
  const socket = new Socket(() => { if (++token === 2) throw new Error('no token'); return address })
  await clock.flush()
  made[0]!.open()
  await clock.flush()
  askToMove(made[0]!)
  for (let attempt = 1; attempt < 4; attempt++) {
    await clock.run(800)
    made[attempt]!.open()
    await clock.flush()
  }
  assert.deepEqual([calls, token, made[0]!.sent, socket.readyState], [3, 5, [MOVED], 1])
})

test('prepare takes messages, and the application gets the rest', async (t) => {
  const steps: string[] = []
  const { clock, made, events } = await openOne(t, {
    async prepare (next: NextConnection) {
      next.send('hello')
      steps.push(`got ${await next.message()}`)
      next.send('again')
      steps.push(`got ${await next.message()}`)
      // Left behind: it must not take a message of the application.
      void next.message().then((data) => { steps.push(`late ${data}`) })
      return () => { steps.push('moment') }
    }
  })
  askToMove(made[0]!)
  await clock.run(1)
  const next = made[1]!
  next.open()
  next.receive('welcome')
  await clock.flush()
  next.receive('ready')
  await clock.flush()
  assert.deepEqual([next.sent, steps, made[0]!.sent], [['hello', 'again'], ['got welcome', 'got ready', 'moment'], [MOVED]])
  next.receive('news')
  made[0]!.end(1012, 'moved')
  await clock.flush()
  assert.deepEqual(events, ['open', 'message news'])
})

test('prepare may wait for several messages at a time: each gets one of its own', async (t) => {
  let got: unknown
  const { clock, made, events } = await openOne(t, {
    prepare: async (next) => { got = await Promise.all([next.message((data) => data === 'b'), next.message((data) => data === 'a'), next.message()]) }
  })
  askToMove(made[0]!)
  await clock.run(1)
  made[1]!.open()
  await clock.flush()
  for (const data of ['a', 'b', 'c', 'd']) {
    made[1]!.receive(data)
    await clock.flush()
  }
  assert.deepEqual([got, made[0]!.sent], [['b', 'a', 'c'], [MOVED]])
  made[0]!.end(1012, 'moved')
  await clock.flush()
  assert.deepEqual(events, ['open', 'message d'])
})

test('messages that are held back are delivered before the close of their own connection', async (t) => {
  const { clock, made, events, move } = await openOne(t)
  await move(made[0]!)
  made[1]!.receive('held back')
  made[1]!.end(1012, 'service restart')
  await clock.flush()
  assert.deepEqual(events, ['open', 'message held back', 'close 1012 service restart'])
})

test('the function that prepare returns runs between the last message to the current connection and the first to the next', async (t) => {
  const { clock, made, socket } = await openOne(t, {
    prepare: (next) => () => {
      next.send('moment')
      socket.send('to the current')
    }
  })
  askToMove(made[0]!)
  await clock.run(1)
  made[1]!.open()
  await clock.flush()
  socket.send('to the next')
  assert.deepEqual([made[0]!.sent, made[1]!.sent], [['to the current', MOVED], ['moment', 'to the next']])
})

test('prepare may wait for a certain message; the application gets all others', async (t) => {
  let got: unknown
  const { clock, made, events } = await openOne(t, { prepare: async (next) => { got = await next.message((data) => data === 'ready') } })
  askToMove(made[0]!)
  await clock.run(1)
  made[1]!.open()
  for (const data of ['a', 'b']) made[1]!.receive(data)
  await clock.flush()
  for (const data of ['ready', 'ready']) made[1]!.receive(data)
  await clock.flush()
  made[0]!.end(1012, 'moved')
  await clock.flush()
  assert.deepEqual([got, events], ['ready', ['open', 'message a', 'message b', 'message ready']])
})

test('prepare sees what the application sends and gets', async (t) => {
  const seen: string[] = []
  const prepare = Object.assign(() => {}, {
    sent: (data: string) => { seen.push(`sent ${data}`) },
    received: (data: string) => { seen.push(`received ${data}`) }
  })
  const { made, socket } = await openOne(t, { prepare })
  socket.send('a')
  made[0]!.receive('b')
  assert.deepEqual(seen, ['sent a', 'received b'])
})

test('when the current connection ends before the next one is ready, the application is told, and the next is closed', async (t) => {
  for (const opened of [false, true]) {
    const { clock, made, events } = await openOne(t, { prepare: () => new Promise(() => {}) })
    askToMove(made[0]!)
    await clock.run(1)
    if (opened) made[1]!.open()
    await clock.flush()
    made[0]!.end(1012, 'service restart; retry=20')
    await clock.flush()
    assert.deepEqual([events, made[1]!.readyState], [['open', 'close 1012 service restart; retry=20'], 3])
    await clock.run(60_000)
    assert.equal(made.length, 2)
    t.mock.restoreAll()
  }
})

test('when the next connection is ready as the server closes the current one, the close counts', async (t) => {
  const { clock, made, events } = await openOne(t)
  askToMove(made[0]!)
  await clock.run(1)
  made[0]!.readyState = 2
  made[1]!.open()
  await clock.flush()
  assert.deepEqual([made[0]!.sent, made[1]!.readyState], [[], 3])
  made[0]!.end(1012, 'service restart')
  await clock.flush()
  assert.deepEqual(events, ['open', 'close 1012 service restart'])
})

for (const [how, code, reason] of [['cut', 1006, ''], ['closed by its handler', 1011, 'internal error'], ['closed in the ordinary way', 1012, 'service restart; retry=0']] as const) {
  test(`when the old connection is ${how} after moved, something may be lost: the application is told`, async (t) => {
    const { clock, made, events, move } = await openOne(t)
    await move(made[0]!)
    made[1]!.receive('new')
    made[0]!.end(code, reason)
    await clock.flush()
    assert.deepEqual([events, made[1]!.readyState], [['open', `close ${code} ${reason}${code === 1006 ? ' unclean' : ''}`], 3])
    assert.ok(clock.idle)
  })
}

test('when the next connection ends before the old one, the application is told', async (t) => {
  const { clock, made, events, move } = await openOne(t)
  await move(made[0]!)
  made[1]!.end(1001, 'bye')
  await clock.flush()
  assert.deepEqual([events, made[0]!.readyState], [['open', 'close 1001 bye'], 3])
})

for (const phase of ['waits for its turn', 'asks for the address', 'opens', 'prepares', 'has moved', 'waits for another attempt']) {
  test(`close() while a move ${phase} closes all connections, and nothing is left`, async (t) => {
    let asked = 0
    const clock = fakeTime(t)
    const { Base, made } = fakeBase()
    const address = newAddress()
    const Socket = lifecycle(Base, { prepare: () => phase === 'prepares' ? new Promise(() => {}) : undefined })
    const socket = new Socket(() => ++asked === 2 && phase === 'asks for the address' ? new Promise(() => {}) : address)
    const events = record(socket)
    await clock.flush()
    made[0]!.open()
    await clock.flush()
    askToMove(made[0]!, 10)
    if (phase !== 'waits for its turn') await clock.run(10)
    if (phase === 'prepares' || phase === 'has moved') made[1]!.open()
    if (phase === 'waits for another attempt') made[1]!.fail()
    await clock.flush()
    socket.close(3000, 'done')
    assert.equal(socket.readyState, 2)
    await clock.flush()
    assert.deepEqual(events, ['open', 'close 3000 done'])
    await clock.run(60_000)
    assert.ok(made.every(({ readyState }) => readyState === 3))
    assert.equal(made.length, ['waits for its turn', 'asks for the address'].includes(phase) ? 1 : 2)
    assert.ok(clock.idle)
  })
}

test('messages are held back for no longer than a second; the old connection goes on being heard', async (t) => {
  const { clock, made, events, move } = await openOne(t)
  await move(made[0]!)
  made[1]!.receive('new')
  await clock.run(998)
  assert.deepEqual(events, ['open'])
  await clock.run(2)
  made[0]!.receive('old')
  made[0]!.end(1012, 'moved')
  await clock.flush()
  made[1]!.receive('newer')
  assert.deepEqual(events, ['open', 'message new', 'message old', 'message newer'])
})

test('a connection can move again while its predecessor still works', async (t) => {
  const { clock, made, events, socket, move } = await openOne(t)
  await move(made[0]!)
  made[1]!.receive('b')
  await move(made[1]!)
  assert.deepEqual(events, ['open', 'message b'])
  made[0]!.receive('a')
  made[1]!.receive('c')
  made[2]!.receive('d')
  made[0]!.end(1012, 'moved')
  await clock.flush()
  made[1]!.end(1012, 'moved')
  await clock.flush()
  socket.send('to the last')
  assert.deepEqual([events, made[2]!.sent], [['open', 'message b', 'message a', 'message c', 'message d'], ['to the last']])
})

test('a hundred moves of ten sockets, one after the other and at once', async (t) => {
  const clock = fakeTime(t)
  const { Base, made } = fakeBase()
  const url = newAddress()
  const Socket = lifecycle(Base)
  const sockets = Array.from({ length: 10 }, () => new Socket(url))
  const told = sockets.map(record)
  await clock.flush()
  for (const socket of made) socket.open()
  await clock.flush()
  let current = [...made]
  for (let round = 0; round < 10; round++) {
    current.forEach((socket, i) => { askToMove(socket, i, `${round}${i}`.padEnd(22, '_')) })
    await clock.run(20)
    const next = made.slice(-10)
    assert.deepEqual(next.map(({ protocols }) => protocols[1]), current.map((_socket, i) => `lifecycle.v1.${`${round}${i}`.padEnd(22, '_')}`))
    for (const socket of next) socket.open()
    await clock.flush()
    for (const [i, socket] of current.entries()) {
      next[i]!.receive(`new ${round}`)
      socket.receive(`old ${round}`)
      socket.end(1012, 'moved')
    }
    await clock.flush()
    current = next
  }
  const expected = ['open', ...Array.from({ length: 10 }, (_, round) => [`message old ${round}`, `message new ${round}`]).flat()]
  for (const events of told) assert.deepEqual(events, expected)
})

test('dedupe drops what was delivered within the window, on either connection', async (t) => {
  const { clock, made, events } = await openOne(t, { dedupe: (data: string) => data.startsWith('#') ? data : undefined, dedupeWindow: 300 })
  const [old] = made as [FakeSocket]
  old.receive('#1')
  old.receive('plain')
  askToMove(old)
  await clock.run(1)
  const next = made[1]!
  next.open()
  await clock.flush()
  for (const data of ['#1', '#2', 'plain', '#3']) next.receive(data)
  old.receive('#2')
  // Held back for longer than two windows.
  await clock.run(900)
  old.end(1012, 'moved')
  await clock.flush()
  assert.deepEqual(events, ['open', 'message #1', 'message plain', 'message #2', 'message plain', 'message #3'])
  await clock.run(1_001)
  next.receive('#4')
  await clock.run(1_001)
  next.receive('#1')
  assert.deepEqual(events.slice(-2), ['message #4', 'message #1'])
})

test('dedupe forgets a message when its window is over, also if no other has come since', async (t) => {
  const { clock, made, events } = await openOne(t, { dedupe: (data: string) => data, dedupeWindow: 300 })
  for (const wait of [0, 300, 1, 301, 10_000]) {
    await clock.run(wait)
    made[0]!.receive('tick')
  }
  assert.equal(events.filter((event) => event === 'message tick').length, 4)
})

test('messages and the close are told although dedupe throws', async (t) => {
  const errors: unknown[] = []
  const reject = Promise.reject.bind(Promise)
  // An unhandled rejection would end the test.
  t.mock.method(Promise, 'reject', (error: unknown) => error instanceof SyntaxError ? errors.push(error) : reject(error))
  const { clock, made, events, move } = await openOne(t, { dedupe: (data: string) => JSON.parse(data) as unknown })
  await move(made[0]!)
  for (const data of ['{', '1', '1']) made[1]!.receive(data)
  made[0]!.end(1012, 'moved')
  await clock.flush()
  made[1]!.end(1001, 'bye')
  await clock.flush()
  assert.deepEqual(events, ['open', 'message {', 'message 1', 'close 1001 bye'])
  assert.equal(errors.length, 1)
})

test('what is held back is delivered as the binaryType of then', async (t) => {
  const { made, clock, events, socket, move } = await openOne(t)
  await move(made[0]!)
  for (let i = 0; i < 2; i++) made[1]!.receive(new ArrayBuffer(1))
  socket.addEventListener('message', () => { socket.binaryType = 'arraybuffer' })
  made[0]!.end(1012, 'moved')
  await clock.flush()
  assert.deepEqual(events.slice(1), ['message [object Blob]', 'message [object ArrayBuffer]'])
})

test('prepare may return what it likes: only a function is called', async (t) => {
  const { made, clock, works } = await openOne(t, { prepare: (next) => next.message() })
  askToMove(made[0]!)
  await clock.run(1)
  made[1]!.open()
  await clock.flush()
  made[1]!.receive('welcome')
  await clock.flush()
  assert.equal(made[0]!.sent.at(-1), MOVED)
  made[0]!.end(1012, 'moved')
  await clock.flush()
  await works(made[1]!)
})

test('a control frame that comes after the end of its socket begins no wait', async (t) => {
  const { clock, made, socket, events, move } = await openOne(t)
  await move(made[0]!)
  const [old, next] = made as [FakeSocket, FakeSocket]
  next.end(1006)
  await clock.flush()
  assert.deepEqual([events.at(-1), socket.readyState], ['close 1006  unclean', 3])
  askToMove(old, 60_000)
  assert.ok(clock.idle)
})

test('with move: false control frames are messages', async (t) => {
  const { clock, made, events } = await openOne(t, { move: false })
  askToMove(made[0]!)
  await clock.run(10)
  assert.equal(made.length, 1)
  assert.match(events[1]!, /^message .lifecycle:\{"type":"move"/)
})

test('control frames of unknown types are dropped, and ids that are none are not offered', async (t) => {
  const { clock, made, events, works, url, Socket } = await openOne(t)
  for (const frame of [{}, { type: 'jump' }, { type: 'moved' }, { in: 0 }]) made[0]!.receive(frameFor(made[0]!, frame))
  for (const id of ['', 'no token', ID.slice(1), `${ID}a`, 1, null, {}]) made[0]!.receive(frameFor(made[0]!, { type: 'handover', id }))
  await clock.run(10)
  assert.deepEqual([events, made.length], [['open'], 1])
  await works(made[0]!)
  made[0]!.end(1012, 'service restart; retry=0')
  await clock.flush()
  void new Socket(url)
  await clock.run(1)
  assert.deepEqual(offersOf(made[1]!), ['lifecycle.v1'])
})

test('a control frame without the key of the connection is a message: the server may pass on what other clients send', async (t) => {
  const { clock, made, events } = await openOne(t)
  const other = made[0]!.protocols.at(-1)!.replace(/.$/, (last) => last === '0' ? '1' : '0').slice('lifecycle.v1.key.'.length)
  const texts = ['', '{', 'null', '[]', '1', ...[undefined, null, '', other].map((key) => JSON.stringify({ type: 'move', in: 0, id: ID, key }))]
  for (const text of texts) made[0]!.receive(`${CONTROL}${text}`)
  await clock.run(10)
  assert.deepEqual(events, ['open', ...texts.map((text) => `message ${CONTROL}${text}`)])
  assert.equal(made.length, 1)
})

test('each connection has a key of its own', async (t) => {
  const { made, move } = await openOne(t)
  await move(made[0]!)
  const [first, second] = made.map(({ protocols }) => protocols.at(-1)!)
  for (const offer of [first, second]) assert.match(offer!, /^lifecycle\.v1\.key\.[\d-]{22,64}$/)
  assert.notEqual(first, second)
})

test('the id of a handover is offered by the next connection to the address, until one has opened', async (t) => {
  const { clock, made, url, Socket } = await openOne(t)
  made[0]!.receive(frameFor(made[0]!, { type: 'handover', id: ID }))
  made[0]!.end(1012, 'service restart; retry=0')
  await clock.flush()
  for (let attempt = 1; attempt < 4; attempt++) {
    t.mock.method(Math, 'random', () => 0)
    void new Socket(`${url}?attempt=${attempt}`)
    await clock.run(1)
    assert.deepEqual(offersOf(made[attempt]!), ['lifecycle.v1', ...attempt < 3 ? [`lifecycle.v1.${ID}`] : []])
    if (attempt === 2) made[2]!.open()
    else made[attempt]!.fail()
    await clock.flush()
  }
})

test('an id stays for its next connection when another socket opens that has not offered it', async (t) => {
  const { clock, made, url, Socket } = await openOne(t)
  void new Socket(url)
  await clock.flush()
  made[0]!.receive(frameFor(made[0]!, { type: 'handover', id: ID }))
  made[0]!.end(1012, 'service restart; retry=0')
  await clock.flush()
  made[1]!.open()
  await clock.flush()
  void new Socket(url)
  await clock.run(1)
  assert.deepEqual(offersOf(made[2]!), ['lifecycle.v1', `lifecycle.v1.${ID}`])
})

test('in 1,000 of 1,000 moves that fail at a random point, the current connection works on', async (t) => {
  const random = generator(1)
  const { clock, made, socket, events } = await openOne(t, {
    timeout: 100,
    prepare: async (next) => {
      const kind = random() * 5
      if (kind < 1) throw new Error('no')
      if (kind < 2) await new Promise(() => {})
      if (kind < 4) await next.message()
      made.at(-1)!.end(1011)
    }
  })
  const current = made[0]!
  const received: string[] = []
  for (let trial = 0; trial < 1_000; trial++) {
    askToMove(current, random() * 20)
    // Four attempts, some of which never open.
    for (let step = 0; step < 40; step++) {
      await clock.run(random() * 60)
      const next = made.at(-1)!
      if (next !== current && next.readyState < 2) {
        if (next.readyState === 1) next.receive('x')
        else if (random() < 0.3) next.fail()
        else if (random() < 0.8) next.open(random() < 0.1 ? 'other' : '')
      }
    }
    await clock.run(2_000)
    current.receive(`m${trial}`)
    received.push(`message m${trial}`)
    socket.send(`s${trial}`)
    assert.equal(current.sent.at(-1), `s${trial}`)
    made.splice(1)
  }
  assert.deepEqual(events, ['open', ...received])
})
