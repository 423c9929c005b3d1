/**
 * Isolation: whatever a listener of a socket throws or rejects with ends its own connection, is reported once with that
 * connection's id, and harms neither the process nor another connection. Handlers and errorHandler are in
 * isolation-handlers.test.ts, streams over sockets in ws/streams.test.ts, `isolation: false` in process/isolation-off.test.ts.
 *
 * An error that reached the process would fail the test that runs: node:test listens for them.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createWebSocketStream } from 'ws'
import type { WebSocket } from 'ws'
import { ended } from '../helpers/ends.ts'
import { nextClosed, turn } from '../helpers/records.ts'
import { connect, logged, Opcode, rawConnect, start, until, within } from '../helpers/server.ts'
import type { RawClient } from '../helpers/server.ts'

const boom = () => { throw new Error('boom') }
const reject = async () => { await Promise.resolve(); boom() }

/** Thenables of other makes: no promises, and one that ignores whether its rejection is handled. */
const rejecting = { then: (_resolve: unknown, reject: (error: Error) => void) => { setImmediate(() => { reject(new Error('boom')) }) } }

interface Fault {
  /** Breaks the connection it is called for when it gets a message, a ping … */
  install: (socket: WebSocket) => void
  /** What the client does beside pinging and sending a message. */
  provoke?: (raw: RawClient) => void
  /** How it ends where something else has ended it before the fault. */
  end?: { cause: string, code: number }
  /** How many faults that is. @default 1 */
  faults?: number
}

const CLIENT = { provoke: (raw: RawClient) => { raw.sendClose(4001, 'bye') }, end: { cause: 'client', code: 4001 } }
const BREACH = { provoke: (raw: RawClient) => { raw.send(Opcode.Text, 'x', { rsv: 4 }) }, end: { cause: 'protocol', code: 1002 } }

const faults: Record<string, Fault | Fault['install']> = {
  "a 'message' listener that throws": (socket) => { socket.on('message', boom) },
  "a 'message' listener that throws null": (socket) => {
    // eslint-disable-next-line no-throw-literal -- whatever is thrown must not be touched
    socket.on('message', () => { throw null })
  },
  "a 'message' listener that throws something that throws when touched": (socket) => {
    socket.on('message', () => { throw new Proxy({}, { get: boom, has: boom, getPrototypeOf: boom, ownKeys: boom }) })
  },
  "a 'message' listener that rejects": (socket) => { socket.on('message', reject) },
  "a 'message' listener that rejects with undefined": (socket) => {
    // eslint-disable-next-line prefer-promise-reject-errors -- as above
    socket.on('message', () => Promise.reject())
  },
  "a 'message' listener that returns a thenable that throws": (socket) => { socket.on('message', () => ({ then: boom })) },
  "a 'message' listener that returns a thenable that rejects later": (socket) => { socket.on('message', () => rejecting) },
  "a listener of once('message') that throws": (socket) => { socket.once('message', boom) },
  "a listener of once('message') that rejects": (socket) => { socket.once('message', reject) },
  "a listener of prependListener('message') that throws": (socket) => {
    socket.on('message', () => {})
    socket.prependListener('message', boom)
  },
  "a listener of prependListener('message') that rejects": (socket) => {
    socket.on('message', () => {})
    socket.prependListener('message', reject)
  },
  "a listener of prependOnceListener('message') that throws": (socket) => { socket.prependOnceListener('message', boom) },
  "a listener of prependOnceListener('message') that rejects": (socket) => { socket.prependOnceListener('message', reject) },
  "an addEventListener('message') that throws": (socket) => { socket.addEventListener('message', boom) },
  "an addEventListener('message') that rejects": (socket) => { socket.addEventListener('message', reject) },
  "an addEventListener('message') with once that rejects": (socket) => { socket.addEventListener('message', reject, { once: true }) },
  'an onmessage that throws': (socket) => { socket.onmessage = boom },
  'an onmessage that rejects': (socket) => { socket.onmessage = reject },
  'a handleEvent that throws': (socket) => { socket.addEventListener('message', { handleEvent: boom } as never) },
  'a handleEvent that rejects': (socket) => { socket.addEventListener('message', { handleEvent: reject } as never) },
  "a 'ping' listener that throws": (socket) => { socket.on('ping', boom) },
  "a 'ping' listener that rejects": (socket) => { socket.on('ping', reject) },
  "a 'pong' listener that throws": (socket) => { socket.on('pong', boom) },
  "a 'pong' listener that rejects": (socket) => { socket.on('pong', reject) },
  "a 'data' listener of a stream over the socket that throws": (socket) => { createWebSocketStream(socket).on('data', boom) },
  "a listener of the application's own event that throws": (socket) => {
    socket.on('hello', boom)
    socket.on('message', () => { socket.emit('hello') })
  },
  "a listener of the application's own event that rejects": (socket) => {
    socket.on('hello', reject)
    socket.on('message', () => { socket.emit('hello') })
  },
  "a 'close' listener that throws": { ...CLIENT, install: (socket) => { socket.on('close', boom) } },
  "a 'close' listener that rejects": { ...CLIENT, install: (socket) => { socket.on('close', reject) } },
  'an onclose that throws': { ...CLIENT, install: (socket) => { socket.onclose = boom } },
  'an onclose that rejects': { ...CLIENT, install: (socket) => { socket.onclose = reject } },
  "an 'error' listener that throws": { ...BREACH, install: (socket) => { socket.on('error', boom) } },
  "an 'error' listener that rejects": { ...BREACH, install: (socket) => { socket.on('error', reject) } },
  'an onerror that throws': { ...BREACH, install: (socket) => { socket.onerror = boom } },
  'an onerror that rejects': { ...BREACH, install: (socket) => { socket.onerror = reject } },
  "a second fault while closing: a 'message' listener and a 'close' listener that throw": {
    faults: 2,
    install: (socket) => { socket.on('message', boom).on('close', boom) }
  },
  'a second fault while closing: one listener rejects when another has thrown': {
    faults: 2,
    install: (socket) => {
      socket.on('message', async () => { while (socket.readyState === socket.OPEN) await turn(); boom() })
      socket.on('message', boom)
    }
  },
  'a second fault when all is over: a listener rejects on a closed socket': {
    faults: 2,
    install: (socket) => {
      socket.on('message', async () => { while (socket.readyState !== socket.CLOSED) await turn(); boom() })
      socket.on('message', boom)
    }
  },
  'faults over and over: every listener throws, and what came behind the first is not shown to them': {
    faults: 2,
    install: (socket) => { for (const event of ['message', 'ping', 'close', 'error']) socket.on(event, boom) }
  }
}

for (const [what, row] of Object.entries(faults)) {
  const fault: Fault = typeof row === 'function' ? { install: row } : row
  const { cause, code } = fault.end ?? { cause: 'error', code: 4500 }
  test(`${what}: ends its own connection with ${code} and no other`, async (t) => {
    const app = await start(t, { errorCode: 4500 }, (app) => {
      app.get('/bad', { websocket: true }, (socket) => { fault.install(socket) })
      app.get('/echo', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
    })
    const errors: number[] = []
    app.sockets.on('error', (_error, { id }) => { errors.push(id) })
    const neighbour = await connect(t, app, '/echo')
    const raw = await rawConnect(t, app, '/bad')
    const connection = app.sockets.list({ route: '/bad' })[0]!
    const cleaned: number[] = []
    connection.defer(() => { cleaned.push(connection.id) })
    if (fault.provoke !== undefined) fault.provoke(raw)
    else {
      raw.send(Opcode.Ping)
      raw.send(Opcode.Pong)
      raw.send(Opcode.Text, 'go')
    }
    assert.equal((await within(5_000, raw.closeFrame(), 'there was no close frame')).code, code)
    raw.sendClose(code)
    raw.end()
    const record = await within(5_000, connection.closed, 'the connection never reached closed')
    assert.deepEqual({ cause: record.cause, code: record.code }, { cause, code })
    const count = fault.faults ?? 1
    await until(() => errors.length >= count, `${count} faults`)
    await turn()
    assert.deepEqual(errors, Array(count).fill(connection.id))
    assert.equal(app.sockets.stats().faults, count)
    assert.deepEqual(logged(app, /failed/).map(({ level, msg, connection }) => ({ level, msg, connection })),
      Array(count).fill({ level: 50, msg: 'handler or listener of a socket failed', connection: connection.id }))
    assert.deepEqual(cleaned, [connection.id])
    neighbour.socket.send('still here')
    assert.equal(await neighbour.next(), 'still here')
  })
}

test('after a fault the rest of what was sent is not delivered, but counted', async (t) => {
  const seen: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', (data) => {
        seen.push(String(data))
        if (String(data) === 'two') throw new Error('boom')
      })
      // Not shown the frame on which the first one failed.
      socket.on('message', (data) => { seen.push(`second ${String(data)}`) })
    })
  })
  const raw = await rawConnect(t, app, '/')
  const record = nextClosed(app)
  for (const text of ['one', 'two', 'three', 'four']) raw.send(Opcode.Text, text)
  assert.equal((await raw.closeFrame()).code, 1011)
  raw.sendClose(1011)
  raw.end()
  const { messages, dropped } = await record
  assert.deepEqual(seen, ['one', 'second one', 'two'])
  assert.deepEqual({ messages, dropped }, { messages: 2, dropped: 2 })
})

test("a 'close' listener that throws or rejects is reported and stops no other listener", async (t) => {
  const seen: string[] = []
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('close', boom)
      socket.on('close', async () => { await Promise.resolve(); boom() })
      socket.onclose = boom
      socket.on('close', (code, reason) => { seen.push(`${code} ${String(reason)}`) })
    })
  })
  let errors = 0
  app.sockets.on('error', () => { errors++ })
  const client = await connect(t, app, '/')
  const record = nextClosed(app)
  client.socket.close(4001, 'bye')
  const { cause, code, reason } = await record
  assert.deepEqual({ cause, code, reason }, { cause: 'client', code: 4001, reason: 'bye' })
  assert.deepEqual(seen, ['4001 bye'])
  await turn()
  assert.equal(errors, 3)
})

test("an 'error' that the application emits on a socket ends it, as the default of @fastify/websocket would", async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', () => { socket.emit('error', new Error('from a stream')) })
    })
  })
  const client = await connect(t, app, '/')
  const record = nextClosed(app)
  client.socket.send('go')
  assert.equal((await ended(client)).code, 1011)
  assert.equal((await record).cause, 'error')
  assert.equal(logged(app, /broke the WebSocket protocol/).length, 0)
})

test("an 'error' without a listener is a fault of its connection only", async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.removeAllListeners('error')
      socket.on('message', () => { socket.emit('error', new Error('without a listener')) })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  assert.equal((await ended(client)).code, 1011)
  assert.equal(app.sockets.stats().faults, 1)
})

test("a peer's breach of the protocol is no fault of ours without a listener for 'error'", async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.removeAllListeners() })
  })
  const raw = await rawConnect(t, app, '/')
  const record = nextClosed(app)
  raw.send(Opcode.Text, 'x', { rsv: 4 })
  assert.equal((await raw.closeFrame()).code, 1002)
  raw.destroy()
  assert.equal((await record).cause, 'protocol')
  assert.equal(app.sockets.stats().faults, 0)
  assert.equal(logged(app, /handler or listener of a socket failed/).length, 0)
})
