/**
 * The class over `ws` and real servers, and over a fake class what no server does on demand.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { lifecycle } from '../../lib/client/index.ts'
import { fakeBase, fakeTime, newAddress, offersOf, record } from './fake-base.ts'

async function serve (t: TestContext, accept: (socket: WebSocket) => void): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.after(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  server.on('connection', accept)
  await once(server, 'listening')
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

test('over ws messages go both ways, and the close of the server arrives', async (t) => {
  const url = await serve(t, (socket) => {
    socket.on('message', (data, isBinary) => {
      socket.send(data, { binary: isBinary })
      if (!isBinary) socket.close(1012, 'service restart; retry=10')
    })
  })
  const socket = new (lifecycle(WebSocket))(url, ['chat', 'v2'], { headers: { authorization: 'token' } })
  socket.binaryType = 'arraybuffer'
  const events = record(socket)
  await once(socket as unknown as EventTarget, 'open')
  assert.equal(socket.protocol, 'chat')
  socket.send(new Uint8Array([1, 2]))
  socket.send('text')
  await once(socket as unknown as EventTarget, 'close')
  assert.deepEqual(events, ['open', 'message [object ArrayBuffer]', 'message text', 'close 1012 service restart; retry=10'])
})

test('what arrives with the handshake comes after open', async (t) => {
  const url = await serve(t, (socket) => { socket.send('welcome') })
  const socket = new (lifecycle(WebSocket))(url)
  const events = record(socket)
  await once(socket as unknown as EventTarget, 'message')
  assert.deepEqual(events, ['open', 'message welcome'])
  socket.close()
  await once(socket as unknown as EventTarget, 'close')
})

test('binaryType may be set in the handler of open, for what has arrived with the handshake too', async (t) => {
  const url = await serve(t, (socket) => { socket.send(Buffer.from('welcome')) })
  const socket = new (lifecycle(WebSocket))(url)
  socket.onopen = () => { socket.binaryType = 'arraybuffer' }
  const events = record(socket)
  await once(socket as unknown as EventTarget, 'message')
  assert.deepEqual(events, ['open', 'message [object ArrayBuffer]'])
  socket.close()
  await once(socket as unknown as EventTarget, 'close')
})

test('options after the protocols reach the class below; lifecycle.v1 is offered last, and the application does not see it', async () => {
  const { Base, made } = fakeBase()
  const options = { headers: {} }
  const socket = new (lifecycle(Base))(newAddress(), 'chat', options)
  const quiet = new (lifecycle(Base, { move: false }))(newAddress(), undefined, options)
  await new Promise(setImmediate)
  assert.deepEqual(made.map((base) => [offersOf(base), base.rest]), [[['chat', 'lifecycle.v1'], [options]], [[], [options]]])
  made[0]!.open('lifecycle.v1')
  made[1]!.open()
  await new Promise(setImmediate)
  assert.deepEqual([socket.protocol, quiet.protocol], ['', ''])
  socket.close()
  quiet.close()
})

test('over a class that tells of a failed handshake by error alone, close follows', async (t) => {
  const clock = fakeTime(t)
  const { Base, made } = fakeBase()
  const events = record(new (lifecycle(Base))(newAddress()))
  await clock.flush()
  const onerror = made[0]!.onerror as (event: object) => void
  onerror({ message: 'Received network error or non-101 status code.' })
  await clock.flush()
  assert.deepEqual(events, ['error Received network error or non-101 status code.', 'close 1006  unclean'])
})

test('over a class that tells of a cut by an error without a message, only close is told', async () => {
  const { Base, made } = fakeBase()
  const events = record(new (lifecycle(Base))(newAddress()))
  await new Promise(setImmediate)
  made[0]!.open()
  await new Promise(setImmediate)
  made[0]!.fail('')
  await new Promise(setImmediate)
  assert.deepEqual(events, ['open', 'close 1006  unclean'])
})

test('a class below that throws ends the attempt with its message', async () => {
  class Strict { constructor () { throw new TypeError('no such option') } }
  const events = record(new (lifecycle(Strict as unknown as typeof WebSocket))(newAddress()))
  await new Promise(setImmediate)
  assert.deepEqual(events, ['error no such option', 'close 1006  unclean'])
})

test('an error event has an Error where its message is known, else neither', async (t) => {
  const clock = fakeTime(t)
  const { Base, made } = fakeBase()
  const Class = lifecycle(Base)
  const errors: Event[] = []
  const listen = (socket: EventTarget) => { socket.addEventListener('error', (event) => { errors.push(event) }) }
  listen(new Class(async () => { throw new RangeError('no token') }))
  const [first, second, third] = [newAddress(), newAddress(), newAddress()]
  await clock.run(1)
  for (const address of [first, second, third]) listen(new Class(address))
  await clock.flush()
  const below = new TypeError('refused')
  Reflect.apply(made[0]!.onerror as (event: object) => void, made[0], [{ message: 'refused', error: below }])
  made[1]!.end(1006)
  made[2]!.open()
  await clock.flush()
  made[2]!.end(4001, 'replaced')
  await clock.flush()
  listen(new Class(third))
  await clock.run(1)
  assert.deepEqual(errors.map((event) => 'error' in event ? `${String(event.error)}` : 'none'), [
    'RangeError: no token', 'TypeError: refused', 'none', 'Error: no attempts wanted after 4001'
  ])
})

test('an attempt that ends without an error event has failed', async () => {
  const { Base, made } = fakeBase()
  const events = record(new (lifecycle(Base))(newAddress()))
  await new Promise(setImmediate)
  made[0]!.end(1006)
  await new Promise(setImmediate)
  assert.deepEqual(events, ['error ', 'close 1006  unclean'])
})

test('a subprotocol of the application that has the name of the offer in it stays as it is', async () => {
  const { Base, made } = fakeBase()
  const socket = new (lifecycle(Base))(newAddress(), 'my.lifecycle.v1')
  await new Promise(setImmediate)
  made[0]!.open('my.lifecycle.v1')
  await new Promise(setImmediate)
  assert.equal(socket.protocol, 'my.lifecycle.v1')
})

test('no message is delivered after close()', async () => {
  const { Base, made } = fakeBase()
  const socket = new (lifecycle(Base))(newAddress())
  const events = record(socket)
  await new Promise(setImmediate)
  made[0]!.open()
  await new Promise(setImmediate)
  socket.close(3000, 'bye')
  made[0]!.receive('late')
  await new Promise(setImmediate)
  assert.deepEqual([events, made[0]!.closedWith], [['open', 'close 3000 bye'], [3000, 'bye']])
})

test('a handler is a listener among others: it keeps its place until it is set to null', async () => {
  const { Base, made } = fakeBase()
  const socket = new (lifecycle(Base))(newAddress()) as unknown as WebSocket & EventTarget
  const order: string[] = []
  assert.equal(socket.onopen, null)
  socket.onopen = () => { order.push('first') }
  socket.addEventListener('open', { handleEvent () { order.push('listener') } } as never)
  const second = function (this: unknown) { order.push(this === socket ? 'second' : 'wrong this') }
  socket.onopen = second
  assert.equal(socket.onopen, second)
  socket.onmessage = () => { order.push('never') }
  socket.onmessage = null
  await new Promise(setImmediate)
  made[0]!.open()
  await new Promise(setImmediate)
  made[0]!.receive('x')
  socket.onopen = 'not a function' as never
  socket.onopen = second
  socket.dispatchEvent(new Event('open') as never)
  assert.deepEqual(order, ['second', 'listener', 'listener', 'second'])
  socket.close()
})

test('the constants cannot be changed', () => {
  const Socket = lifecycle(WebSocket)
  for (const [value, name] of (['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'] as const).entries()) {
    assert.deepEqual([Socket[name], Socket.prototype[name]], [value, value])
    assert.throws(() => { Object.assign(Socket, { [name]: 5 }) }, TypeError)
  }
})

test('arguments are checked as the standard says', async () => {
  const { Base, made } = fakeBase()
  const Socket = lifecycle(Base)
  for (const url of ['', '/path', 'ftp://x/', 'ws://x/#', 'ws://x/#a', 'ws://']) assert.throws(() => new Socket(url), { name: 'SyntaxError' }, url)
  for (const protocols of ['', 'a b', 'a,b', ['a', 'a'], ['é']]) assert.throws(() => new Socket('ws://x', protocols), { name: 'SyntaxError' }, String(protocols))
  const socket = new Socket('HTTPS://Server.Example:443/a?b')
  assert.equal(socket.url, 'wss://server.example/a?b')
  for (const code of [0, 999, 1001, 1006, 2999, 5000, NaN]) assert.throws(() => { socket.close(code) }, { name: 'InvalidAccessError' }, String(code))
  assert.throws(() => { socket.close(3000, 'é'.repeat(62)) }, { name: 'SyntaxError' })
  await new Promise(setImmediate)
  made[0]!.open()
  await new Promise(setImmediate)
  socket.binaryType = 'nodebuffer'
  assert.equal(socket.binaryType, 'blob')
  socket.binaryType = 'arraybuffer'
  assert.deepEqual([socket.binaryType, made[0]!.binaryType], ['arraybuffer', 'arraybuffer'])
  for (const data of [1, null, 'text']) socket.send(data)
  assert.deepEqual([made[0]!.sent, socket.bufferedAmount, socket.extensions], [['1', 'null', 'text'], 0, ''])
  socket.close()
  socket.close()
})
