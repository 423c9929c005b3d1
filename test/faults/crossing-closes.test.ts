/**
 * Close frames that cross while our side still holds what was sent before: a message that is deflated, a blob that is read, a
 * frame that the peer does not read. What was accepted before our close frame leaves before it, the peer gets our code, once
 * (RFC 6455 §5.5.1), and the application the code of the peer (§7.1.5).
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import { constants, inflateRawSync } from 'node:zlib'
import type { WebSocket } from 'ws'
import { rawSocketOf } from '../../lib/base/internals.ts'
import { gate } from '../helpers/gate.ts'
import { nextClosed } from '../helpers/records.ts'
import { rawConnect, start, until } from '../helpers/server.ts'
import type { RawClient, TestApp } from '../helpers/server.ts'

const MESSAGE = randomBytes(200_000)

/** More than the kernels take of it. */
const LONG_MESSAGE = randomBytes(16 << 20)

const UNREAD = 'the peer does not read'

/** What ws deflates with. */
interface Deflater { compress (data: Buffer, fin: boolean, done: (...result: unknown[]) => void): void }

/** Sends the message in such a way that our side holds it; returns what lets it go. */
type Hold = (socket: WebSocket, client: RawClient) => () => void

const holds: Array<[what: string, headers: Record<string, string>, hold: Hold]> = [
  ['a message is deflated', { 'Sec-WebSocket-Extensions': 'permessage-deflate' }, (socket) => {
    const held = gate()
    const deflater = (socket as unknown as { _extensions: Record<string, Deflater> })._extensions['permessage-deflate']!
    const { compress } = deflater
    deflater.compress = (data, fin, done) => {
      compress.call(deflater, data, fin, (...result) => { void held.wait().then(() => { done(...result) }) })
    }
    socket.send(MESSAGE)
    return () => { held.open() }
  }],
  ['a blob is read', {}, (socket) => {
    const held = gate()
    const blob = new Blob([MESSAGE])
    const bytes = blob.arrayBuffer()
    blob.arrayBuffer = async () => held.wait().then(() => bytes)
    socket.send(blob as unknown as Buffer)
    return () => { held.open() }
  }],
  [UNREAD, {}, (socket, client) => {
    client.pause()
    socket.send(LONG_MESSAGE)
    return () => { client.resume() }
  }]
]

const closes: Array<[what: string, ours: number, theirs: number, cause: string, close: (app: TestApp, socket: WebSocket) => void]> = [
  ['disconnect() with 3003 crosses 4000 of the peer', 3003, 4000, 'disconnected', (app) => { app.sockets.disconnect('all') }],
  ['disconnect() with 3003 crosses 3003 of the peer', 3003, 3003, 'disconnected', (app) => { app.sockets.disconnect('all') }],
  ['close() with 1000 crosses 1000 of the peer', 1000, 1000, 'application', (_app, socket) => { socket.close(1000) }],
  ['close() with 1008 crosses 1008 of the peer', 1008, 1008, 'application', (_app, socket) => { socket.close(1008) }],
  ['a drain with 1012 crosses 1001 of the peer', 1012, 1001, 'drain', (app) => { void app.sockets.drain() }],
  ['the peer closes with 4001', 4001, 4001, 'client', () => {}]
]

for (const [holding, headers, hold] of holds) {
  for (const [what, ours, theirs, cause, close] of closes) {
    test(`${what} while ${holding}: what was sent before arrives, then ${ours}, once`, async (t) => {
      const heard: unknown[] = []
      const app = await start(t, { closeTimeout: 60_000, drain: { timeout: 90_000 }, options: { perMessageDeflate: { threshold: 0 } } }, (app) => {
        app.get('/', { websocket: true }, (socket) => { socket.on('close', (code) => { heard.push(code) }) })
      })
      const client = await rawConnect(t, app, '/', headers)
      const { socket } = app.sockets.list()[0]!
      const raw = rawSocketOf(socket)
      const record = nextClosed(app)
      const release = hold(socket, client)
      close(app, socket)
      if (cause !== 'client') await until(() => socket.readyState === socket.CLOSING, 'our close')
      const { bytesRead } = raw
      client.sendClose(theirs)
      await until(() => raw.bytesRead > bytesRead, 'the close frame of the peer')
      assert.ok(socket.bufferedAmount > 0, 'nothing is held any more')
      assert.equal(raw.destroyed, false)
      release()
      const { payload } = await client.frame()
      const message = headers['Sec-WebSocket-Extensions'] === undefined ? payload : inflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH })
      assert.ok(message.equals(holding === UNREAD ? LONG_MESSAGE : MESSAGE))
      assert.equal((await client.closeFrame()).code, ours)
      assert.equal(await client.ended, undefined)
      client.end()
      const { code, clean, cause: recorded } = await record
      assert.deepEqual([recorded, code, clean, heard], [cause, ours, true, [theirs]])
      assert.deepEqual(client.frames, [])
    })
  }
}
