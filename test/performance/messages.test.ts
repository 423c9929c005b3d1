/**
 * Messages leave nothing behind: what is kept after many of them is what was kept before.
 */
import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import test from 'node:test'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { turn } from '../helpers/records.ts'
import { maskedFrame, Opcode, start } from '../helpers/server.ts'
import { heapUsed } from './heap.ts'

const MESSAGES = 10_000
const IN_A_CHUNK = 1_000

/** Bytes that may be more after them: less than eight for each. */
const SLACK = 64 * 1024

/** Compiled code and what V8 notes of it come and go: a leak is there in most rounds. */
const ROUNDS = 7

/** A raw socket without a kernel below it: what is written to it is forgotten, what is pushed into it arrives. */
class MemoryDuplex extends Duplex {
  override _read (): void {}
  override _write (_chunk: Buffer, _encoding: string, callback: () => void): void { callback() }
}

/** A ws socket over memory. */
function upgrade (server: WebSocketServer): { socket: WebSocket, raw: Duplex } {
  const raw = new MemoryDuplex()
  const request = new IncomingMessage(raw as unknown as Socket)
  request.method = 'GET'
  request.url = '/'
  request.headers = { upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }
  let opened: WebSocket | undefined
  server.handleUpgrade(request, raw, Buffer.alloc(0), (socket) => { opened = socket })
  assert.ok(opened, 'the handshake failed')
  return { socket: opened, raw }
}

test('10,000 messages to a sync listener leave no bytes behind', async (t) => {
  const app = await start(t, {}, undefined, { listen: false, fastify: { logger: false } })
  await app.ready()
  const server = new WebSocketServer({ noServer: true })
  app.sockets.adopt(server)
  const { socket, raw } = upgrade(server)
  let received = 0
  socket.on('message', () => { received++ })
  const connection = app.sockets.of(socket)
  const chunk = Buffer.concat(Array.from({ length: IN_A_CHUNK }, (_, i) => maskedFrame(Opcode.Text, `message ${i}`)))
  const deliver = async () => {
    for (let i = 0; i < MESSAGES; i += IN_A_CHUNK) {
      // A copy: ws unmasks a frame where it lies.
      raw.push(Buffer.from(chunk))
      await turn()
    }
  }
  await deliver()
  const kept: number[] = []
  for (let i = 0; i < ROUNDS; i++) {
    const before = await heapUsed()
    await deliver()
    kept.push(await heapUsed() - before)
  }
  assert.equal(received, MESSAGES * (ROUNDS + 1))
  assert.equal(connection.messagesReceived, received)
  t.diagnostic(`bytes kept after each ${MESSAGES} messages: ${kept.join(', ')}`)
  const median = kept.toSorted((a, b) => a - b)[(ROUNDS - 1) / 2]!
  assert.ok(median < SLACK, `bytes kept after each ${MESSAGES} messages: ${kept.join(', ')}`)
  await connection.terminate()
})
