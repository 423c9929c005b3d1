/**
 * Text messages that are taken before anything else sees them, and those that are sent past the application, on real sockets.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { createWebSocketStream, WebSocket } from 'ws'
import type { LifecycleOptions } from '../../lib/index.ts'
import { takeText } from '../../lib/ws/taken-text.ts'
import { writeMessage, writeText } from '../../lib/ws/writes.ts'
import { messageFrame } from '../../lib/ws/frames.ts'
import { connect, start } from '../helpers/server.ts'
import type { TestClient } from '../helpers/server.ts'

interface Line { client: TestClient, socket: WebSocket }

async function line (t: TestContext, options: LifecycleOptions = {}, deflate = false): Promise<Line> {
  const app = await start(t, { heartbeat: false, ...options }, (app) => { app.get('/', { websocket: true }, () => {}) })
  const client = await connect(t, app, '/', { perMessageDeflate: deflate })
  return { client, socket: app.sockets.list()[0]!.socket }
}

const isSecret = (message: Buffer): boolean => message.toString().startsWith('secret')

// ——— taken

test('no listener, of whatever kind, and no stream sees a message that was taken', async (t) => {
  const { client, socket } = await line(t)
  const taken: string[] = []
  takeText(socket, (message) => {
    if (isSecret(message)) taken.push(message.toString())
    return isSecret(message)
  })
  const heard: string[] = []
  socket.on('message', (data) => { heard.push(`on ${String(data)}`) })
  socket.addEventListener('message', ({ data }) => { heard.push(`addEventListener ${String(data)}`) })
  socket.onmessage = ({ data }) => { heard.push(`onmessage ${String(data)}`) }
  createWebSocketStream(socket).on('data', (data: Buffer) => { heard.push(`stream ${data.toString()}`) })
  for (const message of ['secret 1', 'public', 'secret 2']) client.send(message)
  await once(socket, 'message')
  client.send(Buffer.from('secret in binary'))
  await once(socket, 'message')
  assert.deepEqual(taken, ['secret 1', 'secret 2'])
  assert.deepEqual(heard, ['public', 'secret in binary'].flatMap((message) => ['on', 'addEventListener', 'onmessage', 'stream'].map((kind) => `${kind} ${message}`)))
})

test('the socket looks as before, and emits other events as before', async (t) => {
  const { client, socket } = await line(t)
  const keys = Object.keys(socket)
  takeText(socket, isSecret)
  assert.deepEqual(Object.keys(socket), keys)
  const events: unknown[] = []
  socket.on('custom' as 'message', (...args: unknown[]) => { events.push(args) })
  assert.equal(socket.emit('custom', 1, 2, 3), true)
  assert.equal(socket.emit('nothing'), false)
  assert.deepEqual(events, [[1, 2, 3]])
  const pong = once(client.socket, 'pong')
  client.socket.ping()
  await pong
})

// ——— sent

test('a text goes past a send that the application has replaced, as itself or in its class', async (t) => {
  class Shouting extends WebSocket {
    override send (...args: unknown[]): void { Reflect.apply(super.send, this, [String(args[0]).toUpperCase(), ...args.slice(1)]) }
  }
  for (const options of [{}, { options: { WebSocket: Shouting as never } }]) {
    const { client, socket } = await line(t, options)
    const { send } = socket
    socket.send = function (this: WebSocket, data: unknown) { Reflect.apply(send, this, [`<${String(data)}>`]) }
    assert.equal(writeText(socket, 'secret'), true)
    socket.send('public')
    assert.equal(await client.next(), 'secret')
    assert.match(String(await client.next()), /^<public>$/i)
  }
})

test('a text follows what ws still compresses', async (t) => {
  const { client, socket } = await line(t, { options: { perMessageDeflate: { threshold: 0 } } }, true)
  assert.match(socket.extensions, /permessage-deflate/)
  socket.send('x'.repeat(10_000))
  assert.equal(writeText(socket, 'secret'), true)
  writeMessage(socket, messageFrame('y'))
  assert.deepEqual([await client.next(), await client.next(), await client.next()], ['x'.repeat(10_000), 'secret', 'y'])
})

test('no text is sent in the middle of a fragmented message, or on a socket that is closing', async (t) => {
  const { client, socket } = await line(t)
  socket.send('begin ', { fin: false })
  assert.equal(writeText(socket, 'secret'), false)
  socket.send('end', { fin: true })
  assert.equal(writeText(socket, 'secret'), true)
  assert.deepEqual([await client.next(), await client.next()], ['begin end', 'secret'])
  socket.close()
  assert.equal(writeText(socket, 'secret'), false)
})
