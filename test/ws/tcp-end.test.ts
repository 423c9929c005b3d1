import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex, Writable } from 'node:stream'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { endOnce, endTcp } from '../../lib/ws/tcp-end.ts'
import { rawSocketOf, receiverOf } from '../../lib/base/internals.ts'
import { nextClosed } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { connect, Opcode, rawConnect, start, within } from '../helpers/server.ts'
import type { TestApp, TestClient } from '../helpers/server.ts'

/** Calls of Node's own `end()` on a stream that had finished before, or was destroyed: each makes an error. */
function lateEnds (t: TestContext): { of (streams: unknown[]): number } {
  const late: unknown[] = []
  // Node has copied the one to the other.
  for (const { prototype } of [Writable, Duplex]) {
    const { end } = prototype
    t.mock.method(prototype, 'end', function (this: Writable, ...args: unknown[]) {
      if (this.writableFinished || (this.destroyed && this.writableEnded)) late.push(this)
      return Reflect.apply(end, this, args) as Writable
    })
  }
  return { of: (streams) => late.filter((stream) => streams.includes(stream)).length }
}

const endings: Array<[string, (app: TestApp, client: TestClient) => unknown]> = [
  ['the server', (app) => app.sockets.disconnect('all')],
  ['the client', (_, client) => { client.socket.close(1000) }],
  ['both', (app, client) => { client.socket.close(1000); return app.sockets.disconnect('all') }]
]

for (const [who, close] of endings) {
  test(`no stream is ended after it has finished, where ${who} closed`, async (t) => {
    const app = await start(t, {}, plain)
    const client = await connect(t, app, '/')
    const [connection] = app.sockets.list() as ManagedConnection[]
    const { socket } = connection!
    const streams = [rawSocketOf(socket), receiverOf(socket)!]
    const ends = lateEnds(t)
    const closed = nextClosed(app)
    await close(app, client)
    await closed
    assert.equal(ends.of(streams), 0)
    assert.ok(streams.every((stream) => stream.writableEnded || stream.destroyed))
  })
}

test('what has to be told is told all the same', async () => {
  const taken: string[] = []
  const stream = new Writable({ write (chunk: Buffer, _encoding, done) { taken.push(chunk.toString()); done() } })
  endOnce(stream)
  await new Promise<void>((resolve) => { stream.end('last', resolve) })
  assert.deepEqual(taken, ['last'])
  assert.equal(stream.end(), stream)
  const error = await new Promise<Error | undefined>((resolve) => { stream.end(resolve) })
  assert.equal((error as NodeJS.ErrnoException).code, 'ERR_STREAM_ALREADY_FINISHED')
})

test("an `end` of the application's own stays", () => {
  const stream = new Writable()
  const theirs = stream.end = () => stream
  endOnce(stream)
  assert.equal(stream.end, theirs)
})

test('a stream without a kernel socket goes at once; where code waits for its finish, it is ended', async () => {
  const make = () => new Duplex({ read () {}, write (_chunk, _encoding, done) { done() } })
  const silent = make()
  endTcp(silent, false)
  assert.ok(silent.destroyed)
  const awaited = make()
  const finished = once(awaited, 'finish')
  endTcp(awaited, false)
  await finished
  const streamed = make()
  endTcp(streamed, true)
  assert.deepEqual([streamed.destroyed, streamed.writableEnded], [false, true])
})

test('TCP ends as soon as our frame is answered, also where ws was not told yet that it has left, as over TLS, and the peer keeps its half', async (t) => {
  const app = await start(t, { closeTimeout: 60_000, drain: { timeout: 120_000 } }, plain)
  const peer = await rawConnect(t, app, '/')
  const [connection] = app.sockets.list()
  Object.defineProperty(connection!.socket, '_closeFrameSent', { get: () => false, set () {} })
  const closed = nextClosed(app)
  void app.sockets.disconnect('all')
  const { code } = await peer.closeFrame()
  peer.send(Opcode.Close, Buffer.from([code >> 8, code & 255]))
  await within(10_000, closed, 'the server waits for the peer')
})

test('a WebSocket class of the application with a `close` of its own is told of the answer, too', async (t) => {
  const calls: unknown[][] = []
  class Own extends WebSocket {
    override close (...args: never[]): void {
      calls.push(args)
      Reflect.apply(WebSocket.prototype.close, this, args)
    }
  }
  const app = await start(t, { options: { WebSocket: Own as never } }, plain)
  await connect(t, app, '/')
  const closed = nextClosed(app)
  void app.sockets.disconnect('all')
  await closed
  assert.deepEqual(calls.map(([code]) => code), [3003, 3003])
})
