/**
 * What is read of a ws that keeps nothing where we look: the answers after which the methods of ws itself are used. That
 * messages and pings then work is tested in writes.test.ts.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { WebSocket } from 'ws'
import * as internals from '../../lib/ws/internals.ts'
import { connect, start } from '../helpers/server.ts'

const LIB = join(import.meta.dirname, '../../lib')

/** Names of ws's own fields; those of Node's streams and emitters are others. */
const FIELDS = /\b_(socket|sender|receiver|extensions|closeFrameSent|closeFrameReceived|closeCode|closeMessage|pendingAutoPongs|maxPendingAutoPongs|firstFragment|bufferedBytes|queue|state)\b/

test('a socket that shows nothing has sent and received no close frame, is neither broken nor flooded, and is not direct', () => {
  const socket = { readyState: 1, OPEN: 1 } as unknown as WebSocket
  assert.deepEqual([internals.closeFrameSent(socket), internals.closeFrameReceived(socket)], [false, false])
  assert.deepEqual([internals.peerCode(socket), internals.peerReason(socket)], [1005, ''])
  assert.deepEqual([internals.isBroken(socket), internals.pongsWait(socket, 1)], [false, false])
  assert.deepEqual([internals.receiverOf(socket), internals.bytesInSender(socket)], [undefined, 0])
  assert.deepEqual([internals.isDirect(socket), internals.isMidMessage(socket)], [false, false])
  assert.doesNotThrow(() => { internals.shareExtensions(socket) })
})

test('pongs that wait are counted against the limit of ws, and against several times as many', () => {
  const waits = (pending: number) => [1, 4].map((times) => internals.pongsWait({ _pendingAutoPongs: pending, _maxPendingAutoPongs: -60 } as unknown as WebSocket, times))
  assert.deepEqual([59, 60, 239, 240].map(waits), [[false, false], [true, false], [true, false], [true, true]])
})

test('a socket with a sender and no raw socket is not direct: there is nothing to write to', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, () => {}) })
  await connect(t, app, '/')
  const { socket } = app.sockets.list()[0]!
  assert.equal(internals.isDirect(socket), true)
  const shown = { readyState: 1, OPEN: 1, _sender: (socket as unknown as { _sender: object })._sender } as unknown as WebSocket
  assert.equal(internals.isDirect(shown), false)
})

test('the send of ws is known by its source, also minified; one that calls it is not', () => {
  const { send } = WebSocket.prototype
  const minified = class { declare _sender: { send (...args: unknown[]): void }; declare readyState: number; send (e: unknown, t: unknown) { if (this.readyState === 0) throw new Error('WebSocket is not open: readyState 0 (CONNECTING)'); this._sender.send(e, t) } }
  const wrapped = function (this: WebSocket, ...args: never[]) { Reflect.apply(send, this, args) }
  const own = function (this: { _sender: { send (data: string): void } }, data: string) { this._sender.send(data) }
  // Twice: what was found is kept.
  for (let i = 0; i < 2; i++) {
    assert.deepEqual([send, minified.prototype.send].map(internals.isSendOfWs), [true, true])
    assert.deepEqual([wrapped, own, send.bind(null as never), undefined, null].map(internals.isSendOfWs), [false, false, false, false, false])
  }
})

test('no other file names what ws keeps to itself', () => {
  for (const file of readdirSync(LIB, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts') || file === join('ws', 'internals.ts')) continue
    assert.doesNotMatch(readFileSync(join(LIB, file), 'utf8'), FIELDS, file)
  }
})
