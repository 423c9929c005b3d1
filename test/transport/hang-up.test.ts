import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex, Writable } from 'node:stream'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { ManagedConnection } from '../../lib/core/managed-connection.ts'
import { endOnce, hangUp } from '../../lib/transport/hang-up.ts'
import { rawSocketOf } from '../../lib/transport/ws-socket.ts'
import { nextClosed } from '../helpers/records.ts'
import { connect, start } from '../helpers/server.ts'
import type { TestApp, TestClient } from '../helpers/server.ts'

/** Calls of Node's own `end()` on a stream that had finished before: each makes an error. */
function lateEnds (t: TestContext): { of (streams: unknown[]): number } {
  const late: unknown[] = []
  const { end } = Writable.prototype
  t.mock.method(Writable.prototype, 'end', function (this: Writable, ...args: unknown[]) {
    if (this.writableFinished) late.push(this)
    return Reflect.apply(end, this, args) as Writable
  })
  return { of: (streams) => late.filter((stream) => streams.includes(stream)).length }
}

const endings: Array<[string, (app: TestApp, client: TestClient) => unknown]> = [
  ['the server', (app) => app.sockets.disconnect('all')],
  ['the client', (_, client) => { client.socket.close(1000) }],
  ['both', (app, client) => { client.socket.close(1000); return app.sockets.disconnect('all') }]
]

for (const [who, close] of endings) {
  test(`no stream is ended after it has finished, where ${who} closed`, async (t) => {
    const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, () => {}) })
    const client = await connect(t, app, '/')
    const [connection] = app.sockets.list() as ManagedConnection[]
    const { socket } = connection!
    const streams = [rawSocketOf(socket), (socket as unknown as { _receiver: Writable })._receiver]
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

test('a stream without a kernel socket goes at once; where somebody waits for its finish, it is ended', async () => {
  const make = () => new Duplex({ read () {}, write (_chunk, _encoding, done) { done() } })
  const silent = make()
  hangUp(silent, false)
  assert.ok(silent.destroyed)
  const awaited = make()
  const finished = once(awaited, 'finish')
  hangUp(awaited, false)
  await finished
  const streamed = make()
  hangUp(streamed, true)
  assert.deepEqual([streamed.destroyed, streamed.writableEnded], [false, true])
})
