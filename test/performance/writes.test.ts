/**
 * What a broadcast costs of the kernel: one write for each peer, of the frame once, and nothing for those it does not mean.
 */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import test from 'node:test'
import type { Connection } from '../../lib/index.ts'
import { rawConnect, start, until } from '../helpers/server.ts'

const PEERS = 100

/** Bytes of a header for so many bytes of payload (RFC 6455 §5.2). */
const header = (length: number) => length < 126 ? 2 : length < 65_536 ? 4 : 10

/** Counts the writes to each raw socket, and keeps the chunks. */
function spy (raws: Map<Connection, Socket>): Map<Connection, unknown[]> {
  return new Map([...raws].map(([connection, raw]) => {
    const chunks: unknown[] = []
    const { write } = raw
    raw.write = ((...args: never[]) => {
      chunks.push(args[0])
      return Reflect.apply(write, raw, args) as boolean
    }) as typeof write
    return [connection, chunks]
  }))
}

test(`a broadcast to ${PEERS} peers is ${PEERS} writes of one and the same frame`, async (t) => {
  const raws = new Map<Connection, Socket>()
  const app = await start(t, { heartbeat: false }, (app) => {
    app.get('/', { websocket: true }, (socket, { raw }) => { raws.set(app.sockets.of(socket), raw.socket) })
  }, { fastify: { logger: false } })
  const clients = await Promise.all(Array.from({ length: PEERS + 1 }, () => rawConnect(t, app, '/')))
  const [outsider, ...members] = app.sockets.list()
  for (const connection of members) connection.tag('lobby')
  const writes = spy(raws)
  let messages = 0
  for (const data of ['x'.repeat(64), 'x'.repeat(1_024), '', Buffer.alloc(70_000, 1)]) {
    const before = members.map((connection) => raws.get(connection)!.bytesWritten)
    assert.deepEqual(await app.sockets.broadcast(data, { tag: 'lobby' }), { sent: PEERS, queued: 0, dropped: 0 })
    messages++
    const chunks = members.map((connection) => writes.get(connection)!)
    assert.ok(chunks.every(({ length }) => length === messages), `${chunks.reduce((sum, { length }) => sum + length, 0)} writes for ${messages} broadcasts to ${PEERS}`)
    assert.equal(new Set(chunks.map((list) => list.at(-1))).size, 1, 'it was encoded more than once')
    for (const [i, connection] of members.entries()) assert.equal(raws.get(connection)!.bytesWritten - before[i]!, data.length + header(data.length))
  }
  assert.deepEqual(writes.get(outsider!), [])
  await until(() => clients.filter(({ frames }) => frames.length === messages).length === PEERS)
})
