import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import test from 'node:test'
import { HttpSockets } from '../../lib/http/http-sockets.ts'

/** A socket that only notes its end; `incoming` is what Node's parser has. */
function createSocket (extra: object = {}) {
  const socket = Object.assign(new EventEmitter(), { destroyed: false, destroy () { socket.destroyed = true } }, extra)
  return socket as unknown as Socket & { destroyed: boolean }
}

const idle = () => createSocket({ parser: { incoming: null } })
const createServer = (extra: object = {}) => Object.assign(new EventEmitter(), extra) as unknown as Server
const destroyed = (...sockets: Array<{ destroyed: boolean }>) => sockets.map((socket) => socket.destroyed)

test('what carries no request is destroyed; what does, was upgraded, forgotten or is of another make is not', () => {
  const sockets = new HttpSockets()
  const server = createServer()
  sockets.watch(server)
  const [unused, asking, upgraded, strange, forgotten, gone] =
    [idle(), createSocket({ parser: { incoming: new EventEmitter() } }), createSocket({ parser: null }), createSocket(), idle(), idle()]
  for (const socket of [unused, asking, upgraded, strange, forgotten, gone]) server.emit('connection', socket)
  gone.emit('close')
  sockets.forget(forgotten)
  sockets.closeIdle()
  assert.deepEqual(destroyed(unused, asking, upgraded, strange, forgotten, gone), [true, false, false, false, false, false])
  for (const socket of [gone, forgotten]) assert.equal(socket.listenerCount('close'), 0)
})

test('a connection is closed once the last of its answers has left', () => {
  const sockets = new HttpSockets()
  const server = createServer()
  sockets.watch(server)
  const [first, second] = [new EventEmitter(), new EventEmitter()]
  const state = { parser: { incoming: new EventEmitter() }, _httpMessage: first }
  const socket = createSocket(state)
  server.emit('connection', socket)
  sockets.closeIdle()
  Object.assign(socket, { _httpMessage: second })
  first.emit('close')
  assert.equal(socket.destroyed, false)
  Object.assign(socket, { _httpMessage: null, parser: { incoming: null } })
  second.emit('close')
  assert.equal(socket.destroyed, true)
})

test('TLS: what has not ended its handshake is destroyed, what has is judged by its requests', () => {
  const sockets = new HttpSockets()
  const server = createServer({ setSecureContext () {} })
  sockets.watch(server)
  const [shaking, belowUnused, belowAsking] = [createSocket(), createSocket(), createSocket()]
  const unused = createSocket({ parser: { incoming: null }, _parent: belowUnused })
  const asking = createSocket({ parser: { incoming: new EventEmitter() }, _parent: belowAsking })
  for (const socket of [shaking, belowUnused, belowAsking]) server.emit('connection', socket)
  for (const socket of [unused, asking]) server.emit('secureConnection', socket)
  sockets.closeIdle()
  assert.deepEqual(destroyed(shaking, belowUnused, unused, belowAsking, asking), [true, false, true, false, false])
})

test('TLS: where Node does not tell what is below, nothing in use is destroyed', () => {
  const sockets = new HttpSockets()
  const server = createServer({ setSecureContext () {} })
  sockets.watch(server)
  const [below, above] = [createSocket(), createSocket({ parser: { incoming: new EventEmitter() } })]
  server.emit('connection', below)
  server.emit('secureConnection', above)
  sockets.closeIdle()
  assert.deepEqual(destroyed(below, above), [false, false])
})

test('without a \'clientError\' listener none is added, which would keep Node from answering', () => {
  const [without, with_] = [createServer(), createServer()]
  with_.on('clientError', () => {})
  const sockets = new HttpSockets()
  sockets.watch(without)
  sockets.watch(with_)
  assert.equal(without.listenerCount('clientError'), 0)
  const socket = idle()
  with_.emit('connection', socket)
  with_.emit('clientError', new Error('parse error'), socket)
  sockets.closeIdle()
  assert.equal(socket.destroyed, false)
})

test('sessions are closed, but for those that are closed already; nothing is watched any more when that is over', () => {
  const sockets = new HttpSockets()
  const server = createServer()
  const unwatch = sockets.watch(server)
  const closed: string[] = []
  const session = (name: string) => Object.assign(new EventEmitter(), { close () { closed.push(name) } })
  const gone = session('gone')
  for (const each of [gone, session('open')]) server.emit('session', each)
  gone.emit('close')
  sockets.closeIdle()
  assert.deepEqual(closed, ['open'])
  unwatch()
  assert.deepEqual(server.eventNames(), [])
})
