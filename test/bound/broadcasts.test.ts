/**
 * Broadcasts over real TCP: to whom, as what, and what becomes of those who read too slowly.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { connect, Opcode, until } from '../helpers/server.ts'
import { deaf, FRAME, KIB, pending, serve } from './slow-rig.ts'

test('policy drop: frames of a broadcast are skipped for a slow reader and counted, others get all of them, and nobody is closed', async (t) => {
  const app = await serve(t, { maxBufferedBytes: 256 * KIB, policy: 'drop', maxStallTime: false })
  const client = await connect(t, app, '/')
  const { raw, connection } = await deaf(t, app)
  const count = 300
  let sent = 0
  let dropped = 0
  for (let i = 0; i < count; i++) {
    const result = app.sockets.broadcast(Buffer.alloc(FRAME, i), 'all')
    assert.equal(result.sent + result.dropped, 2)
    sent += result.sent
    dropped += result.dropped
    await until(() => client.unread.length === i + 1)
  }
  assert.ok(dropped > 0, 'nothing was dropped')
  assert.equal(sent, 2 * count - dropped)
  assert.ok(pending(connection) <= 256 * KIB + FRAME + 100)
  assert.equal(app.sockets.size, 2)
  // Whole frames are skipped: what it reads in the end is whole.
  raw.resume()
  await until(() => raw.frames.length === count - dropped)
  assert.ok(raw.frames.every(({ opcode, payload }) => opcode === Opcode.Binary && payload.length === FRAME))
  assert.deepEqual(app.sockets.broadcast('again', 'all'), { sent: 2, dropped: 0 })
})

test('policy close: a broadcast over the cap closes the slow reader only', async (t) => {
  const app = await serve(t, { maxBufferedBytes: 256 * KIB })
  const client = await connect(t, app, '/')
  const { connection } = await deaf(t, app)
  for (let i = 0; connection.state === 'open'; i++) {
    assert.deepEqual(app.sockets.broadcast(Buffer.alloc(FRAME), 'all'), { sent: 2, dropped: 0 })
    await until(() => client.unread.length === i + 1)
  }
  assert.equal((await connection.closed).cause, 'slow')
  assert.deepEqual(app.sockets.broadcast('left', 'all'), { sent: 1, dropped: 0 })
})

test('a broadcast goes to whoever matches: text as text, bytes as binary, to nobody who opens later, closing ones skipped', async (t) => {
  const app = await serve(t, {})
  const clients = [await connect(t, app, '/'), await connect(t, app, '/'), await connect(t, app, '/other')]
  const [a, b, c] = clients as [typeof clients[0], typeof clients[0], typeof clients[0]]
  app.sockets.list()[0]!.tag('lobby')
  assert.deepEqual(app.sockets.broadcast('grüße', 'all'), { sent: 3, dropped: 0 })
  assert.deepEqual(app.sockets.broadcast(new Uint8Array([1, 2]), { route: '/' }), { sent: 2, dropped: 0 })
  assert.deepEqual(app.sockets.broadcast('lobby', { tag: 'lobby' }), { sent: 1, dropped: 0 })
  assert.deepEqual(app.sockets.broadcast('nobody', { tag: 'cellar' }), { sent: 0, dropped: 0 })
  assert.deepEqual(app.sockets.broadcast('', 'all'), { sent: 3, dropped: 0 })
  const late = await connect(t, app, '/')
  assert.deepEqual([await a.next(), await a.next(), await a.next(), await a.next()], ['grüße', Buffer.from([1, 2]), 'lobby', ''])
  assert.deepEqual([await b.next(), await b.next(), await b.next()], ['grüße', Buffer.from([1, 2]), ''])
  assert.deepEqual([await c.next(), await c.next()], ['grüße', ''])
  void app.sockets.list()[1]!.close()
  assert.deepEqual(app.sockets.broadcast('x', 'all'), { sent: 3, dropped: 0 })
  assert.equal(await late.next(), 'x')
  assert.throws(() => app.sockets.broadcast(42 as never, 'all'), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  assert.throws(() => app.sockets.broadcast('x', undefined as never), { code: 'SOCKETS_ERR_INVALID_FILTER' })
  assert.throws(() => app.sockets.broadcast('x', { where: () => { throw new Error('mine') } }), /mine/)
})

test('a filter of the application that closes connections while a broadcast goes on harms nobody', async (t) => {
  const app = await serve(t, {})
  const clients = await Promise.all(Array.from({ length: 5 }, () => connect(t, app, '/')))
  const { sent } = app.sockets.broadcast('x', { where: (connection) => { void connection.close(); return true } })
  assert.equal(sent, 0)
  for (const client of clients) assert.equal((await client.closed).code, 1000)
})
