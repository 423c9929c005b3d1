/**
 * Moves that fail, and clients that break the rules of lifecycle.v1, on real sockets: each ends its own connection at most.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { createClock } from '../../lib/testing/clock.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import { forkFixture } from '../helpers/child.ts'
import { asked, controlFrame, MOVED } from '../helpers/mover.ts'
import { MovingClient } from '../helpers/moving-client.ts'
import { assertClean, connect, maskedFrame, Opcode, portOf, rawConnect, start, until } from '../helpers/server.ts'
import type { TestApp, TestClient } from '../helpers/server.ts'

const OFFER = { 'Sec-WebSocket-Protocol': 'lifecycle.v1' }

/** An app on a clock of its own: no time passes on it, however slow the machine is, unless a test says so. */
async function serve (t: TestContext, options: LifecycleOptions = {}): Promise<TestApp> {
  return await start(t, { heartbeat: false, clock: createClock(), ...options }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (message) => { socket.send(`heard ${String(message)}`) }) })
  })
}

/** Checks that a client is served: nothing that others do holds it. */
async function isServed (client: TestClient, message = 'hello'): Promise<void> {
  client.send(message)
  assert.equal(await client.next(), `heard ${message}`)
}

const offering = (t: TestContext, app: TestApp): Promise<TestClient> => connect(t, app, '/', { protocols: ['lifecycle.v1'] })

// ——— clients that break the rules

test('garbage in control frames changes nothing', async (t) => {
  const app = await serve(t)
  const client = await offering(t, app)
  const frames = ['', '{', '[]', 'null', '"moved"', '{"type":1}', '{"__proto__":{"type":"moved"}}', '{"type":"moved"}\u0000', '\ud800', `{"type":"moved","x":"${'y'.repeat(1_000)}"}`, '[[[[[[[[', '{"type":"MOVED"}']
  const moving = app.sockets.list()[0]!.move()
  asked(await client.next())
  for (const frame of frames) client.send(`\u0001lifecycle:${frame}`)
  await isServed(client)
  const [connection] = app.sockets.list()
  assert.deepEqual([connection?.state, connection?.messagesReceived], ['open', 1])
  client.send(MOVED)
  assert.equal(await moving, true)
})

test('a control frame in fragments is one, and as huge as it likes', async (t) => {
  const app = await serve(t)
  const client = await rawConnect(t, app, '/', OFFER)
  for (const [i, byte] of [...Buffer.from(MOVED)].entries()) client.send(i === 0 ? Opcode.Text : Opcode.Continuation, Buffer.from([byte]), { fin: i === MOVED.length - 1 })
  client.send(Opcode.Text, controlFrame({ type: 'moved', more: 'x'.repeat(2 ** 20) }))
  client.send(Opcode.Text, 'hello')
  assert.equal((await client.frame()).payload.toString(), 'heard hello')
  assert.equal(app.sockets.list()[0]?.messagesReceived, 1)
})

for (const [what, bytes] of Object.entries({
  'ten thousand control frames': Buffer.concat(Array.from({ length: 10_000 }, () => maskedFrame(Opcode.Text, MOVED))),
  'ten thousand huge ones': Buffer.concat(Array.from({ length: 10_000 }, () => maskedFrame(Opcode.Text, controlFrame({ type: 'moved', more: 'x'.repeat(1_000) }))))
})) {
  test(`${what} end their own connection with 1008, and no other`, async (t) => {
    const app = await serve(t)
    const other = await offering(t, app)
    const client = await rawConnect(t, app, '/', OFFER)
    client.write(bytes)
    assert.deepEqual(await client.closeFrame(), { code: 1008, reason: 'too many control frames' })
    client.sendClose(1008)
    await client.ended
    await until(() => app.sockets.history.length === 1, 'the record')
    const { cause, messages, dropped } = app.sockets.history[0]!
    assert.deepEqual({ cause, messages, dropped }, { cause: 'protocol', messages: 0, dropped: 0 })
    await isServed(other)
  })
}

test('control frames behind a pause of the application wait with the messages before them', async (t) => {
  const app = await serve(t)
  const client = await offering(t, app)
  const [connection] = app.sockets.list()
  const moving = connection!.move()
  asked(await client.next())
  connection!.socket.pause()
  client.send('first')
  client.send(MOVED)
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  assert.equal(connection!.state, 'open')
  connection!.socket.resume()
  assert.equal(await moving, true)
  assert.equal(await client.next(), 'heard first')
})

// ——— moves that fail

test('a client whose new connection is refused, or fails, goes on where it is', async (t) => {
  const clock = createClock()
  const app = await serve(t, { clock })
  let url = `ws://127.0.0.1:${portOf(app)}/`
  const client = await MovingClient.connect(t, () => url)
  const [connection] = app.sockets.list()
  for (const broken of [`${url}missing`, 'ws://127.0.0.1:1/']) {
    const before = client.failures.length
    url = broken
    const moving = connection!.move()
    await until(() => client.failures.length === before + 1, 'the failure')
    client.send('hello')
    await until(() => client.messages.at(-1) === 'heard hello', 'the answer')
    client.messages.pop()
    await clock.tick(6_000)
    assert.equal(await moving, false)
    assert.equal(connection!.state, 'open')
  }
})

test('the old connection dies before the new one is open: the new one is an ordinary one', async (t) => {
  const app = await serve(t)
  const client = await offering(t, app)
  const moving = app.sockets.list()[0]!.move()
  const { id } = asked(await client.next())
  client.socket.terminate()
  assert.equal(await moving, false)
  const next = await connect(t, app, '/', { protocols: ['lifecycle.v1', `lifecycle.v1.${id}`] })
  await isServed(next)
  await until(() => app.sockets.size === 1, 'one connection')
  assert.deepEqual(app.sockets.history.map(({ cause }) => cause), ['network'])
})

test('a client that resets the old connection with its moved has left, and nothing remains', async (t) => {
  const app = await serve(t)
  for (let i = 0; i < 20; i++) {
    const client = await rawConnect(t, app, '/', OFFER)
    const moving = app.sockets.list()[0]!.move()
    asked((await client.frame()).payload)
    client.send(Opcode.Text, MOVED)
    if (i % 2 === 0) client.reset()
    else client.end()
    await Promise.race([moving, new Promise((resolve) => { setTimeout(resolve, 1_000) })])
    await until(() => app.sockets.size === 0, 'its end')
  }
  await assertClean(app)
})

test('a server that is asked for a move and closes the connection itself answers false', async (t) => {
  const app = await serve(t)
  const client = await offering(t, app)
  const [connection] = app.sockets.list()
  const moving = connection!.move()
  asked(await client.next())
  void connection!.close(4321, 'enough')
  assert.equal(await moving, false)
  assert.deepEqual(await client.closed, { code: 4321, reason: 'enough' })
})

test('hundreds of connections move at once, while others never do', async (t) => {
  const app = await serve(t, { limits: { total: { max: 220 } } })
  const url = `ws://127.0.0.1:${portOf(app)}/`
  const movers = await Promise.all(Array.from({ length: 200 }, () => MovingClient.connect(t, () => url)))
  const others = await Promise.all(Array.from({ length: 20 }, () => rawConnect(t, app, '/', OFFER)))
  const results = app.sockets.list().map((connection) => connection.move())
  await until(() => movers.every(({ moves, left }) => moves === 1 && left.length === 1), '200 moves')
  assert.equal(app.sockets.size, 220)
  assert.deepEqual(app.sockets.stats().closed, { moved: 200 })
  assert.deepEqual(app.sockets.stats().refused, {})
  for (const [i, client] of movers.entries()) client.send(String(i))
  await until(() => movers.every(({ messages }, i) => messages.includes(`heard ${i}`)), 'the answers')
  for (const client of others) client.destroy()
  const moved = await Promise.all(results)
  assert.equal(moved.filter(Boolean).length, 200)
})

// ——— servers that die

for (const [what, order] of Object.entries({ 'in a move': 'move', 'in a drain': 'drain' })) {
  test(`a server that is killed ${what} leaves its clients with the new connection, or with 1006`, async (t) => {
    const child = forkFixture(t, 'moving')
    const { port } = await child.message<{ port: number }>()
    const after = await serve(t)
    let url = `ws://127.0.0.1:${port}/`
    let prepared = 0
    const killed = child.exited
    const clients = await Promise.all(Array.from({ length: 10 }, (_, i) => MovingClient.connect(t, () => url, {
      // Half of them have said that they have moved when the server dies, half have the new connection only.
      prepare: async () => {
        prepared++
        if (i % 2 === 0) await killed
      }
    })))
    url = `ws://127.0.0.1:${portOf(after)}/`
    child.process.send(order)
    await until(() => prepared === 10 && clients.filter(({ moves }) => moves === 1).length === 5, 'half of the moves')
    child.kill('SIGKILL')
    await killed
    await until(() => clients.every(({ left, failures }) => left.length + failures.length === 1), 'the end of all moves')
    for (const [i, client] of clients.entries()) {
      if (i % 2 === 0) assert.equal((await client.closed).code, 1006)
      else client.send(String(i))
    }
    await until(() => clients.every(({ messages }, i) => i % 2 === 0 || messages.includes(`heard ${i}`)), 'answers of the other server')
    assert.equal(after.sockets.size, 10)
  })
}
