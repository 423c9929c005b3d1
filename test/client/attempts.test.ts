/**
 * When an address is tried again: not before `retry=`, with full jitter where the server has named no delay, and not at all after a
 * final code.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { lifecycle } from '../../lib/client/index.ts'
import type { LifecycleClientOptions } from '../../lib/client/index.ts'
import { fakeBase, fakeTime, newAddress, offersOf, record } from './fake-base.ts'

/** A class over a fake one on a fake clock, and an address of its own. */
function rig (t: TestContext, options: LifecycleClientOptions = {}) {
  const clock = fakeTime(t)
  const { Base, made } = fakeBase()
  const Socket = lifecycle(Base, options)
  const url = newAddress()
  return {
    clock,
    made,
    url,
    Socket,
    /** Opens a connection, which ends at once or after a time. */
    async lose (code: number, reason = '', after = 0) {
      const socket = new Socket(url)
      const events = record(socket)
      await clock.flush()
      made.at(-1)!.open()
      await clock.run(after)
      made.at(-1)!.end(code, reason)
      await clock.flush()
      assert.equal(events.at(-1), `close ${code} ${reason}${code === 1006 ? ' unclean' : ''}`)
    },
    /** Makes a socket, lets its connection begin, and returns how long that took, milliseconds. */
    async timeToAttempt () {
      const before = clock.now()
      const attempts = made.length
      void new Socket(url)
      for (await clock.flush(); made.length === attempts; await clock.run(clock.nextTimerIn)) assert.ok(clock.nextTimerIn < Infinity)
      return clock.now() - before
    }
  }
}

test('a socket stays CONNECTING until the delay of the close reason has passed', async (t) => {
  const { clock, made, url, Socket, lose } = rig(t)
  await lose(1012, 'service restart; retry=4210')
  await clock.run(1_000)
  const socket = new Socket(url)
  const events = record(socket)
  await clock.run(3_209)
  assert.equal(made.length, 1)
  assert.equal(socket.readyState, 0)
  assert.throws(() => { socket.send('early') }, { name: 'InvalidStateError' })
  await clock.run(1)
  assert.equal(made.length, 2)
  made[1]!.open()
  await clock.flush()
  assert.deepEqual([events, socket.readyState], [['open'], 1])
})

for (const [reason, delay] of [['retry=0', 0], ['retry=15', 15], ['bye; retry=200', 200], ['retry=20 ', 999], ['try=20', 999], ['noretry=20', 999]] as const) {
  test(`a reason "${reason}" makes an attempt wait ${delay} ms`, async (t) => {
    t.mock.method(Math, 'random', () => 0.999)
    const { lose, timeToAttempt } = rig(t)
    await lose(1012, reason)
    assert.equal(await timeToAttempt(), delay)
  })
}

test('without a delay the wait is full jitter, up to twice as long each time, at most 30 s', async (t) => {
  const random = t.mock.method(Math, 'random', () => 1)
  const { made, timeToAttempt, clock } = rig(t)
  const waits: number[] = []
  for (let attempt = 0; attempt < 8; attempt++) {
    waits.push(await timeToAttempt())
    made.at(-1)!.fail()
    await clock.flush()
  }
  assert.deepEqual(waits, [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
  random.mock.mockImplementation(() => 0)
  await timeToAttempt()
  made.at(-1)!.fail()
  await clock.flush()
  assert.equal(await timeToAttempt(), 0)
})

test('a connection that lasted begins anew, one that was lost soon counts as a failure', async (t) => {
  t.mock.method(Math, 'random', () => 1)
  const { lose, timeToAttempt, made, clock } = rig(t)
  await lose(1006)
  assert.equal(await timeToAttempt(), 1_000)
  made.at(-1)!.open()
  await clock.run(9_999)
  made.at(-1)!.end(1006)
  await clock.flush()
  assert.equal(await timeToAttempt(), 2_000)
  made.at(-1)!.open()
  await clock.run(10_000)
  made.at(-1)!.end(1006)
  await clock.flush()
  assert.equal(await timeToAttempt(), 1_000)
})

for (const [code, reason] of [[1000, ''], [1005, ''], [1000, 'done']] as const) {
  test(`after ${code} "${reason}" the next attempt begins at once, and failures before are forgotten`, async (t) => {
    t.mock.method(Math, 'random', () => 1)
    const { lose, timeToAttempt } = rig(t)
    await lose(1006)
    await timeToAttempt()
    await lose(code, reason, 1)
    assert.equal(await timeToAttempt(), 0)
    await lose(1006)
    assert.equal(await timeToAttempt(), 1_000)
  })
}

test('what the application closes itself has no effect on the next attempt', async (t) => {
  t.mock.method(Math, 'random', () => 1)
  const { Socket, url, made, clock, timeToAttempt } = rig(t)
  const socket = new Socket(url)
  await clock.flush()
  made[0]!.open()
  await clock.flush()
  socket.close(4001, 'retry=5000')
  await clock.flush()
  assert.equal(socket.readyState, 3)
  assert.equal(await timeToAttempt(), 0)
})

test('sockets of one address wait for the latest moment, and their losses at one time count once', async (t) => {
  t.mock.method(Math, 'random', () => 1)
  const { Socket, url, made, clock, timeToAttempt } = rig(t)
  for (let i = 0; i < 3; i++) void new Socket(url)
  await clock.flush()
  for (const socket of made) socket.open()
  await clock.flush()
  made[0]!.end(1012, 'retry=100')
  made[1]!.end(1012, 'retry=300')
  made[2]!.end(1012, 'retry=200')
  await clock.flush()
  assert.equal(await timeToAttempt(), 300)
  made.at(-1)!.fail()
  await clock.flush()
  assert.equal(await timeToAttempt(), 2_000)
})

test('an address is origin and path: a query makes no other, a path, a port or a scheme does', async (t) => {
  const { lose, url, Socket, made, clock } = rig(t)
  await lose(1012, 'retry=1000')
  const others = [`${url}/other`, url.replace('example', 'example:8080'), url.replace('ws:', 'wss:')]
  const sockets = [`${url}?token=2`, url.replace('ws:', 'http:'), ...others].map((address) => new Socket(address))
  await clock.flush()
  assert.deepEqual(made.slice(1).map((socket) => socket.url), others)
  await clock.run(1_000)
  assert.deepEqual(made.slice(4).map((socket) => socket.url), [`${url}?token=2`, url])
  assert.deepEqual(sockets.map((socket) => socket.readyState), [0, 0, 0, 0, 0])
})

for (const code of [1008, 3003, 4001]) {
  test(`after ${code} attempts end at once for a minute, with that code and reason`, async (t) => {
    const { lose, Socket, url, made, clock, timeToAttempt } = rig(t)
    await lose(code, 'go away')
    for (const moment of [0, 30_000, 29_990]) {
      await clock.run(moment)
      const socket = new Socket(url)
      const events = record(socket)
      await clock.run(1)
      assert.deepEqual(events, [`error no attempts wanted after ${code}`, `close ${code} go away`])
      assert.equal(socket.readyState, 3)
    }
    assert.equal(made.length, 1)
    await clock.run(7)
    assert.equal(await timeToAttempt(), 0)
  })
}

for (const [what, url, lose] of [
  ['after a final code', newAddress(), true],
  ['whose address cannot be asked', () => { throw new Error('no session') }, false]
] as const) {
  test(`an application that makes a new socket as soon as one ends does not stop the event loop: sockets ${what}`, async (t) => {
    const last = rig(t)
    const { clock } = last
    if (lose) {
      void new last.Socket(url)
      await clock.flush()
      last.made[0]!.open()
      await clock.flush()
      last.made[0]!.end(4001, 'replaced')
      await clock.flush()
    }
    let sockets = 0
    const connect = () => { if (++sockets < 100) new last.Socket(url).onclose = connect }
    connect()
    await clock.flush()
    assert.equal(sockets, 1)
    await clock.run(1)
    assert.equal(sockets, 2)
  })
}

test('a final code that one socket gets counts for another that waits for the same address already', async (t) => {
  t.mock.method(Math, 'random', () => 0.5)
  const { clock, made, url, Socket, lose } = rig(t)
  const one = new Socket(url)
  await clock.flush()
  made[0]!.open()
  await lose(1006)
  const events = record(new Socket(url))
  await clock.run(100)
  made[0]!.end(1008, 'go away')
  await clock.run(1_000)
  assert.deepEqual([one.readyState, events, made.length], [3, ['error no attempts wanted after 1008', 'close 1008 go away'], 2])
})

test('finalCodes and finalFor say which codes are final, and for how long', async (t) => {
  t.mock.method(Math, 'random', () => 0)
  const { lose, Socket, url, clock, timeToAttempt } = rig(t, { finalCodes: [4400], finalFor: 500 })
  await lose(1008)
  assert.equal(await timeToAttempt(), 0)
  await lose(4400, 'unknown room')
  const events = record(new Socket(url))
  await clock.run(499)
  assert.deepEqual(events, ['error no attempts wanted after 4400', 'close 4400 unknown room'])
  await clock.run(1)
  assert.equal(await timeToAttempt(), 0)
})

test('when the network is back a jittered wait ends, and one that the server asked for does not', async (t) => {
  const page = new EventTarget()
  const listeners = { added: 0, signals: [] as AbortSignal[] }
  Object.assign(globalThis, {
    addEventListener: (type: string, listener: (event: Event) => void, options: { signal: AbortSignal }) => {
      listeners.added++
      listeners.signals.push(options.signal)
      page.addEventListener(type, listener, options)
    }
  })
  t.after(() => { Reflect.deleteProperty(globalThis, 'addEventListener') })
  t.mock.method(Math, 'random', () => 1)
  const { lose, Socket, url, made, clock } = rig(t)
  await lose(1006)
  void new Socket(url)
  await clock.run(10)
  page.dispatchEvent(new Event('online'))
  await clock.flush()
  assert.equal(made.length, 2)
  made[1]!.open()
  await clock.flush()
  made[1]!.end(1012, 'retry=1000')
  await clock.flush()
  const waiting = new Socket(url)
  await clock.run(10)
  page.dispatchEvent(new Event('online'))
  await clock.flush()
  assert.equal(made.length, 2)
  assert.equal(listeners.added, 1)
  waiting.close()
  await clock.flush()
  assert.ok(listeners.signals.every(({ aborted }) => aborted))
})

test('nor does it end what is left of that wait when another socket of the address has waited longer', async (t) => {
  const page = new EventTarget()
  Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page) })
  t.after(() => { Reflect.deleteProperty(globalThis, 'addEventListener') })
  t.mock.method(Math, 'random', () => 1)
  const { clock, made, url, Socket, lose } = rig(t)
  void new Socket(url)
  await clock.flush()
  made[0]!.open()
  await lose(1012, 'retry=500')
  made[0]!.end(1006)
  await clock.flush()
  void new Socket(url)
  await clock.run(10)
  page.dispatchEvent(new Event('online'))
  await clock.run(489)
  assert.equal(made.length, 2)
  await clock.run(1)
  assert.equal(made.length, 3)
})

test('url and protocols are asked before each attempt, again after a wait', async (t) => {
  const { clock, made, Socket, url } = rig(t)
  let token = 0
  const ask = () => new Socket(() => `${url}?token=${++token}`, async () => ['chat', `bearer.${token}`])
  const first = ask()
  assert.equal(first.url, '')
  await clock.flush()
  assert.equal(first.url, `${url}?token=1`)
  assert.deepEqual([made[0]!.url, offersOf(made[0]!)], [`${url}?token=1`, ['chat', 'bearer.1', 'lifecycle.v1']])
  made[0]!.open('chat')
  await clock.flush()
  assert.equal(first.protocol, 'chat')
  made[0]!.end(1012, 'retry=60000')
  await clock.flush()
  void ask()
  await clock.run(60_000)
  assert.equal(made[1]!.url, `${url}?token=3`)
})

for (const [what, url, message] of [
  ['never answers', () => new Promise<string>(() => {}), /timeout/],
  ['rejects', async () => { throw new Error('token service down') }, /token service down/],
  ['throws', () => { throw new Error('no session') }, /no session/],
  ['gives no address', () => 'ftp://example', /not a WebSocket address: ftp/]
] as const) {
  test(`a url that ${what} ends the attempt`, async (t) => {
    const { clock, Socket, made } = rig(t, { timeout: 500 })
    const socket = new Socket(url)
    const events = record(socket)
    await clock.run(501)
    assert.match(events[0]!, message)
    assert.deepEqual(events.slice(1), ['close 1006  unclean'])
    assert.equal(made.length, 0)
    assert.ok(clock.idle)
  })
}

test('a failed question for protocols is no failed attempt of the address', async (t) => {
  t.mock.method(Math, 'random', () => 1)
  const { clock, Socket, url, lose, timeToAttempt } = rig(t)
  await lose(1000)
  const events = record(new Socket(url, () => 'no token'))
  await clock.run(1)
  assert.deepEqual(events, ['error not subprotocols: no token', 'close 1006  unclean'])
  assert.equal(await timeToAttempt(), 0)
})

test('a socket that is closed while it waits, or asks, ends at once and leaves nothing', async (t) => {
  const { clock, Socket, url, lose, made } = rig(t)
  await lose(1012, 'retry=5000')
  const waiting = new Socket(url)
  let answer!: (url: string) => void
  const asking = new Socket(() => new Promise<string>((resolve) => { answer = resolve }))
  const events = [record(waiting), record(asking)]
  await clock.run(10)
  for (const socket of [waiting, asking]) {
    socket.close()
    assert.equal(socket.readyState, 2)
  }
  await clock.run(1)
  assert.deepEqual(events, [['error ', 'close 1006  unclean'], ['error ', 'close 1006  unclean']])
  answer(newAddress())
  await clock.flush()
  assert.deepEqual([waiting.readyState, asking.readyState, made.length, events[1]!.length], [3, 3, 1, 2])
  assert.ok(clock.idle)
})

for (const [what, code, reason] of [['may be tried later', 1012, 'retry=5000'], ['wants no attempts', 4001, 'replaced']] as const) {
  test(`an answer that comes after the end of its socket begins nothing, also at an address that ${what}`, async (t) => {
    const { clock, Socket, url, lose } = rig(t)
    await lose(code, reason)
    let answer!: (url: string) => void
    const socket = new Socket(() => new Promise<string>((resolve) => { answer = resolve }))
    const events = record(socket)
    socket.close()
    await clock.run(1)
    answer(url)
    await clock.run(1)
    assert.deepEqual([events, socket.readyState], [['error ', 'close 1006  unclean'], 3])
    assert.ok(clock.idle)
  })
}

test('all copies of the module know the same of an address', async (t) => {
  const { clock, lose, url } = rig(t)
  await lose(1012, 'retry=1000')
  // The file as it is loaded by a second way: a module of its own.
  const copy = await import(`${new URL('../../lib/client/lifecycle.ts', import.meta.url).href}?copy`) as typeof import('../../lib/client/lifecycle.ts')
  const { Base, made } = fakeBase()
  void new (copy.lifecycle(Base))(url)
  await clock.run(999)
  assert.equal(made.length, 0)
  await clock.run(1)
  assert.equal(made.length, 1)
})

test('of many addresses the oldest are forgotten', async (t) => {
  const { clock, lose, Socket, url, made } = rig(t)
  await lose(1012, 'retry=100000')
  for (let i = 0; i < 1_000; i++) void new Socket(newAddress())
  await clock.flush()
  const attempts = made.length
  void new Socket(url)
  await clock.flush()
  assert.equal(made.length, attempts + 1)
})

test('after the end of a socket no timer of it is left', async (t) => {
  const { clock, lose } = rig(t)
  await lose(1006)
  assert.ok(clock.idle)
})
