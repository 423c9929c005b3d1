/**
 * Slow readers over real TCP: who takes nothing is closed, who takes a little is not, what waits is bounded, producers
 * can wait, and a drain gives them what is theirs.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Connection } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/index.ts'
import type { TestClock } from '../../lib/testing/index.ts'
import { nextClosed, turn } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { connect, logged, Opcode, rawConnect, start, until } from '../helpers/server.ts'
import type { RawClient } from '../helpers/server.ts'
import { deaf, fill, FRAME, KIB, MUCH, pending, serve, stalled, taken } from './slow-rig.ts'

/** Lets the peer read until the kernel has taken more. */
async function readSome (raw: RawClient, connection: Connection): Promise<void> {
  const before = taken(connection)
  raw.resume()
  await until(() => taken(connection) > before || pending(connection) === 0, 'progress')
  raw.pause()
}

test('who takes nothing of what waits for it for maxStallTime is closed: cause slow, code 4008, its socket gone, one warning', async (t) => {
  const clock = createClock()
  const app = await serve(t, { maxStallTime: 1_000 }, { clock })
  const { connection, raw } = await deaf(t, app)
  fill(connection)
  await stalled(connection)
  await clock.tick(950)
  assert.equal(connection.state, 'open')
  const record = nextClosed(app)
  await clock.tick(600)
  const { cause, code, reason, clean } = await record
  assert.deepEqual({ cause, code, reason, clean }, { cause: 'slow', code: 4008, reason: 'reads too slowly', clean: false })
  assert.deepEqual(logged(app, /reads too slowly/).map(({ level, connection, route }) => ({ level, connection, route })), [{ level: 40, connection: connection.id, route: '/' }])
  assert.deepEqual(app.sockets.stats().closed, { slow: 1 })
  raw.resume()
  await raw.ended
})

test('by default that is five minutes', async (t) => {
  const clock = createClock()
  const app = await start(t, { clock, heartbeat: false }, plain)
  const { connection } = await deaf(t, app)
  fill(connection)
  await stalled(connection)
  await clock.tick(299_000)
  assert.equal(connection.state, 'open')
  await clock.tick(82_000)
  assert.equal((await connection.closed).cause, 'slow')
})

test('who takes a little at a time keeps its place, until it stops', async (t) => {
  const clock = createClock()
  const app = await serve(t, { maxStallTime: 1_000 }, { clock })
  const { raw, connection } = await deaf(t, app)
  fill(connection, 2 * MUCH)
  await stalled(connection)
  let looks = 0
  while (pending(connection) > MUCH / 4) {
    await clock.tick(700)
    assert.equal(connection.state, 'open', `after ${looks}`)
    await readSome(raw, connection)
    looks++
  }
  assert.ok(looks > 3, `${looks}`)
  fill(connection)
  await stalled(connection)
  await clock.tick(1_600)
  assert.equal((await connection.closed).cause, 'slow')
})

test('an idle peer for which nothing waits is left alone', async (t) => {
  const clock = createClock()
  const app = await serve(t, { maxStallTime: 1_000 }, { clock })
  const { connection } = await deaf(t, app)
  connection.socket.send('short')
  await clock.tick(600_000)
  assert.equal(connection.state, 'open')
})

test('maxStallTime false, and backpressure false, wait for ever; a route may say otherwise', async (t) => {
  const clock = createClock()
  const app = await serve(t, false, { clock }, { backpressure: { maxStallTime: 500 } })
  const { connection: patient } = await deaf(t, app)
  const { connection: strict } = await deaf(t, app, '/other')
  for (const connection of [patient, strict]) {
    fill(connection)
    await stalled(connection)
  }
  await clock.tick(600_000)
  assert.deepEqual([patient.state, strict.state], ['open', 'closed'])
})

test('a handler that just sends and sends is bounded: over maxBufferedBytes its peer is closed and the memory freed', async (t) => {
  const max = 1_024 * KIB
  const app = await serve(t, { maxBufferedBytes: max })
  const { connection, raw } = await deaf(t, app)
  const record = nextClosed(app)
  let most = 0
  for (let i = 0; i < 2_000 && connection.state === 'open'; i++) {
    connection.socket.send(Buffer.alloc(FRAME))
    most = Math.max(most, pending(connection))
    if (i % 8 === 0) await turn()
  }
  assert.equal(connection.state, 'closing')
  assert.ok(most <= max + FRAME + 100, `${most} bytes waited`)
  const { cause, code, clean } = await record
  assert.deepEqual({ cause, code, clean }, { cause: 'slow', code: 4008, clean: false })
  raw.resume()
  await raw.ended
  assert.ok(raw.frames.every(({ opcode }) => opcode === Opcode.Binary), 'its close frame could not leave')
})

test('broadcasts alone are bounded as well: over maxBufferedBytes the peer is closed', async (t) => {
  const app = await serve(t, { maxBufferedBytes: KIB * KIB })
  const { connection } = await deaf(t, app)
  for (let sent = 0; sent < MUCH; sent += FRAME) await app.sockets.broadcast(Buffer.alloc(FRAME), 'all')
  assert.equal((await connection.closed).cause, 'slow')
})

test('over the cap a peer that reads still hears 4008, after all that was sent before', async (t) => {
  const app = await serve(t, { maxBufferedBytes: 64 * KIB }, { closeTimeout: 5_000, drain: { timeout: 60_000 } })
  const client = await connect(t, app, '/')
  const [connection] = app.sockets.list() as [Connection]
  fill(connection)
  assert.equal(connection.state, 'closing')
  assert.deepEqual(await client.closed, { code: 4008, reason: 'reads too slowly' })
  assert.ok(client.unread.length >= 1)
  assert.equal((await connection.closed).clean, true)
})

test('writable() lets a producer go no faster than its peer reads', async (t) => {
  const max = 512 * KIB
  const app = await serve(t, { maxBufferedBytes: max })
  const client = await connect(t, app, '/')
  const [connection] = app.sockets.list() as [Connection]
  client.socket.pause()
  let most = 0
  const count = 256
  const producer = (async () => {
    for (let i = 0; i < count; i++) {
      await connection.writable()
      connection.socket.send(Buffer.alloc(FRAME, i))
      most = Math.max(most, pending(connection))
    }
  })()
  await stalled(connection)
  assert.equal(connection.state, 'open', 'a producer that waits is never over the cap')
  client.socket.resume()
  await producer
  await until(() => client.unread.length === count)
  assert.ok(most <= max / 2 + FRAME + 100, `${most}`)
  assert.equal(connection.state, 'open')
})

test('of one large message only what the kernel has not taken is waiting: writable() resolves in the middle of it', async (t) => {
  const app = await serve(t, { maxBufferedBytes: 2 * MUCH })
  const { raw, connection } = await deaf(t, app)
  connection.socket.send(Buffer.alloc(2 * MUCH - KIB))
  await stalled(connection)
  const before = taken(connection)
  const whole = connection.socket.bufferedAmount
  let writable = false
  void connection.writable().then(() => { writable = true })
  while (taken(connection) - before < MUCH) await readSome(raw, connection)
  await until(() => writable, 'room')
  // During one large write ws goes on counting all of it.
  assert.equal(connection.socket.bufferedAmount, whole)
  assert.ok(pending(connection) > 0 && pending(connection) <= MUCH, `${pending(connection)} bytes wait`)
})

test('writable() gives up with its signal, with the connection, and leaves no deadline', async (t) => {
  const app = await serve(t, { maxBufferedBytes: false })
  const { connection } = await deaf(t, app)
  await connection.writable()
  fill(connection)
  await stalled(connection)
  const controller = new AbortController()
  const waiting = connection.writable({ signal: controller.signal })
  controller.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  await assert.rejects(connection.writable({ signal: AbortSignal.abort(new Error('before')) }), /before/)
  const second = connection.writable()
  void connection.close(4_000, 'bye')
  await assert.rejects(second, { code: 'SOCKETS_ERR_CLOSED', closeCode: 4_000 })
  await assert.rejects(connection.writable(), { code: 'SOCKETS_ERR_CLOSED' })
  await connection.closed
})

test('a producer in a message loop that awaits writable() does not hang when its peer goes away', async (t) => {
  let ended: unknown
  const app = await start(t, { heartbeat: false }, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const connection = app.sockets.of(socket)
      try {
        for await (const message of connection.messages()) {
          for (let i = 0; i < Number(message); i++) {
            await connection.writable({ signal: connection.drainSignal })
            socket.send(Buffer.alloc(FRAME))
          }
        }
      } catch (error) {
        ended = error
        throw error
      }
    })
  })
  const raw = await rawConnect(t, app, '/')
  const [connection] = app.sockets.list() as [Connection]
  raw.pause()
  raw.send(Opcode.Text, '1000000')
  await until(() => pending(connection) > 0)
  await stalled(connection)
  raw.reset()
  await connection.closed
  await until(() => ended !== undefined)
  assert.equal((ended as { code: string }).code, 'SOCKETS_ERR_CLOSED')
  assert.deepEqual(logged(app, /failed/), [])
})

test('in a drain a slow reader that reads gets everything that waits for it, and then its close frame', async (t) => {
  const app = await serve(t, { maxStallTime: 60_000 }, { drain: { timeout: 20_000 }, closeTimeout: 2_000 })
  const { raw, connection } = await deaf(t, app)
  const count = MUCH / FRAME
  fill(connection)
  await stalled(connection)
  const drain = app.sockets.drain()
  await until(() => connection.state === 'closing')
  raw.resume()
  let received = 0
  const { code } = await (async () => {
    for (;;) {
      const { opcode, payload } = await raw.frame()
      if (opcode === Opcode.Close) return { code: payload.readUInt16BE(0) }
      received++
    }
  })()
  raw.sendClose(1012)
  raw.end()
  assert.deepEqual([received, code], [count, 1012])
  const report = await drain
  assert.deepEqual([report.connections.clean, report.connections.terminated], [1, 0])
})
test('in a drain one that does not read is cut off within the deadline', async (t) => {
  const clock: TestClock = createClock()
  const app = await serve(t, { maxStallTime: 60_000 }, { clock, drain: { timeout: 5_000 }, closeTimeout: 500 })
  const { connection } = await deaf(t, app)
  fill(connection)
  await stalled(connection)
  const drain = app.sockets.drain()
  await clock.tick(5_000)
  const report = await drain
  assert.deepEqual([report.connections.terminated, report.connections.causes], [1, { drain: 1 }])
  assert.ok(report.duration <= 5_000)
})
