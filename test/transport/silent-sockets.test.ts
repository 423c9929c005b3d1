import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import test from 'node:test'
import { SilentSockets } from '../../lib/transport/silent-sockets.ts'

/** A socket that only notes its end. */
function createSocket (bytesRead = 0) {
  const socket = Object.assign(new EventEmitter(), { bytesRead, destroyed: false, destroy () { socket.destroyed = true } })
  return socket as unknown as Socket & { destroyed: boolean }
}

const createServer = (extra: object = {}) => Object.assign(new EventEmitter(), extra) as unknown as Server

test('those that never asked, or only half a question, are destroyed; those that did, or are gone, are not', () => {
  const silent = new SilentSockets()
  const server = createServer()
  silent.watch(server)
  const [never, asked, asking, gone, upgraded] = [createSocket(), createSocket(), createSocket(20), createSocket(), createSocket()]
  for (const socket of [never, asked, asking, gone, upgraded]) server.emit('connection', socket)
  server.emit('request', { socket: asked })
  gone!.emit('close')
  silent.forget(upgraded!)
  silent.destroy()
  assert.deepEqual([never, asked, asking, gone, upgraded].map((socket) => socket!.destroyed), [true, false, true, false, false])
  // Nothing of ours is left on a socket that is in use.
  for (const socket of [asked, gone, upgraded]) assert.equal(socket!.listenerCount('close'), 0)
})

test('TLS: whoever has not shaken hands is destroyed, whoever has is judged by what it asked', () => {
  const silent = new SilentSockets()
  const server = createServer({ setSecureContext () {} })
  silent.watch(server)
  const [shaking, below, above] = [createSocket(5), createSocket(500), createSocket(100)]
  server.emit('connection', shaking)
  server.emit('connection', below)
  server.emit('secureConnection', Object.assign(above!, { _parent: below }))
  server.emit('request', { socket: above })
  silent.destroy()
  assert.deepEqual([shaking, below, above].map((socket) => socket!.destroyed), [true, false, false])
})

test('TLS: on a Node that does not tell what is below, nobody in use is destroyed', () => {
  const silent = new SilentSockets()
  const server = createServer({ setSecureContext () {} })
  silent.watch(server)
  const [below, above] = [createSocket(500), createSocket(100)]
  server.emit('connection', below)
  server.emit('secureConnection', above)
  server.emit('request', { socket: above })
  silent.destroy()
  assert.deepEqual([below, above].map((socket) => socket!.destroyed), [false, false])
})
