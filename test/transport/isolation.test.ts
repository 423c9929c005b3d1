import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import test from 'node:test'
import type { WebSocket } from 'ws'
import { nextClosed, turn } from '../helpers/records.ts'
import { connect, logged, Opcode, rawConnect, start, until, within } from '../helpers/server.ts'
import type { TestApp, TestClient } from '../helpers/server.ts'

/** How a client saw its end; a hang fails the test that hangs. */
const ended = (client: TestClient) => within(5_000, client.closed, 'the client saw no end')

const boom = () => { throw new Error('boom') }

/** Each breaks the connection it is called for when it gets a message, a ping … */
const faults: Record<string, (socket: WebSocket) => void> = {
  "a 'message' listener that throws": (socket) => { socket.on('message', boom) },
  "a 'message' listener that throws null": (socket) => {
    // eslint-disable-next-line no-throw-literal -- whatever is thrown must not be touched
    socket.on('message', () => { throw null })
  },
  "a 'message' listener that throws something that throws when touched": (socket) => {
    socket.on('message', () => { throw new Proxy({}, { get: boom, has: boom, getPrototypeOf: boom, ownKeys: boom }) })
  },
  "a 'message' listener that rejects": (socket) => { socket.on('message', async () => { await Promise.resolve(); boom() }) },
  "a 'message' listener that rejects with undefined": (socket) => {
    // eslint-disable-next-line prefer-promise-reject-errors -- as above
    socket.on('message', () => Promise.reject())
  },
  "a 'message' listener that returns a thenable that throws": (socket) => {
    socket.on('message', () => ({ then: boom }))
  },
  "a listener of once('message') that throws": (socket) => { socket.once('message', boom) },
  "a listener of once('message') that rejects": (socket) => { socket.once('message', async () => { await Promise.resolve(); boom() }) },
  "an addEventListener('message') that throws": (socket) => { socket.addEventListener('message', boom) },
  "an addEventListener('message') that rejects": (socket) => { socket.addEventListener('message', async () => { await Promise.resolve(); boom() }) },
  'an onmessage that throws': (socket) => { socket.onmessage = boom },
  'an onmessage that rejects': (socket) => { socket.onmessage = async () => { await Promise.resolve(); boom() } },
  'a handleEvent that throws': (socket) => { socket.addEventListener('message', { handleEvent: boom } as never) },
  'a handleEvent that rejects': (socket) => { socket.addEventListener('message', { handleEvent: async () => { await Promise.resolve(); boom() } } as never) },
  "a 'ping' listener that throws": (socket) => { socket.on('ping', boom) },
  "a 'ping' listener that rejects": (socket) => { socket.on('ping', async () => { await Promise.resolve(); boom() }) },
  "a listener of the application's own event that throws": (socket) => {
    socket.on('hello', boom)
    socket.on('message', () => { socket.emit('hello') })
  }
}

for (const [what, install] of Object.entries(faults)) {
  test(`${what} ends its own connection with 1011 and nobody else's`, async (t) => {
    const app = await start(t, {}, (app) => {
      app.get('/bad', { websocket: true }, (socket) => { install(socket) })
      app.get('/echo', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
    })
    const errors: unknown[] = []
    app.sockets.on('error', (error, connection) => { errors.push([error, connection.route]) })
    const neighbour = await connect(t, app, '/echo')
    const client = await connect(t, app, '/bad')
    const record = nextClosed(app)
    client.socket.ping()
    client.socket.send('go')
    assert.deepEqual(await ended(client), { code: 1011, reason: 'internal error' })
    const { cause, code, clean } = await record
    assert.deepEqual({ cause, code, clean }, { cause: 'error', code: 1011, clean: true })
    assert.equal(errors.length, 1)
    assert.equal(app.sockets.stats().faults, 1)
    // Whatever cannot be printed is reported in other words.
    assert.equal(logged(app, what.includes('when touched') ? /failed/ : /handler or listener of a socket failed/).length, 1)
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

test("an 'error' listener that throws harms nobody", async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('error', boom) })
  })
  const raw = await rawConnect(t, app, '/')
  const record = nextClosed(app)
  raw.send(Opcode.Text, 'x', { rsv: 4 })
  assert.equal((await raw.closeFrame()).code, 1002)
  raw.destroy()
  assert.equal((await record).cause, 'protocol')
  assert.equal(app.sockets.stats().faults, 1)
})

test("the user's errorHandler gets what listeners throw, with the arguments @fastify/websocket gives", async (t) => {
  const calls: unknown[][] = []
  const app = await start(t, {
    errorHandler (error, socket, request, reply) { calls.push([this, error, socket, request, reply]) }
  }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', () => { throw new Error('listener') }) })
  })
  const events: unknown[] = []
  app.sockets.on('error', (error) => { events.push((error as Error).message) })
  const client = await connect(t, app, '/?token=secret')
  const { socket } = app.sockets.list()[0]!
  client.socket.send('go')
  assert.equal((await ended(client)).code, 1011)
  assert.equal(calls.length, 1)
  const [self, error, given, request, reply] = calls[0] as [unknown, Error, WebSocket, { url: string }, { code: unknown }]
  assert.equal((self as TestApp).sockets, app.sockets)
  assert.equal(error.message, 'listener')
  assert.equal(given, socket)
  assert.equal(request.url, '/?token=secret')
  assert.equal(typeof reply.code, 'function')
  assert.deepEqual(events, ['listener'])
})

test("the user's errorHandler gets what handlers throw, and error trackers see it too", async (t) => {
  const handled: string[] = []
  const app = await start(t, {
    errorHandler (error, socket) {
      handled.push(error.message)
      socket.terminate()
    }
  }, (app) => {
    app.get('/sync', { websocket: true }, () => { throw new Error('sync') })
    app.get('/async', { websocket: true }, async () => { throw new Error('async') })
  })
  const events: string[] = []
  app.sockets.on('error', (error) => { events.push((error as Error).message) })
  for (const path of ['/sync', '/async']) {
    const client = await connect(t, app, path)
    assert.equal((await ended(client)).code, 1006)
  }
  assert.deepEqual(handled, ['sync', 'async'])
  assert.deepEqual(events, ['sync', 'async'])
  assert.equal(app.sockets.stats().faults, 2)
})

test('an errorHandler that throws or rejects is logged and harms nobody', async (t) => {
  let calls = 0
  const app = await start(t, {
    errorHandler: (async () => {
      await Promise.resolve()
      throw new Error(`errorHandler ${++calls}`)
    }) as never
  }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', boom) })
    app.get('/handler', { websocket: true }, async (socket) => { await once(socket, 'message'); boom() })
  })
  for (const [path, count] of [['/', 1], ['/handler', 2]] as const) {
    const client = await connect(t, app, path)
    client.socket.send('go')
    await until(() => logged(app, /errorHandler failed/).length === count)
    client.socket.terminate()
    await ended(client)
  }
  assert.equal(calls, 2)
})

test('a handler that fails before anything was received is cut off without a code, as @fastify/websocket does', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/sync', { websocket: true }, () => { throw new Error('sync') })
    app.get('/async', { websocket: true }, async () => { await Promise.resolve(); throw new Error('async') })
  })
  for (const path of ['/sync', '/async']) {
    const record = nextClosed(app)
    const client = await connect(t, app, path)
    assert.equal((await ended(client)).code, 1006)
    const { cause, code } = await record
    assert.deepEqual({ cause, code }, { cause: 'error', code: 1006 })
  }
  assert.equal(app.sockets.stats().faults, 2)
  assert.equal(logged(app, /handler or listener of a socket failed/).length, 2)
})

test('a handler that fails later ends its connection with the errorCode', async (t) => {
  const app = await start(t, { errorCode: 4500 }, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      await once(socket, 'message')
      throw new Error('late')
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  assert.deepEqual(await ended(client), { code: 4500, reason: 'internal error' })
})

test('an abort while closing is what the code was told to do, not a fault', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const { signal } = app.sockets.of(socket)
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => { reject(signal.reason) })
      })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.close(1000)
  await ended(client)
  await turn()
  assert.equal(app.sockets.stats().faults, 0)
  assert.equal(logged(app, /failed/).length, 0)
})

test("an abort while closing does not reach the user's errorHandler", async (t) => {
  const handled: Error[] = []
  let aborted = 0
  const app = await start(t, { errorHandler: (error) => { handled.push(error) } }, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const { signal } = app.sockets.of(socket)
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => { aborted++; reject(signal.reason) })
      })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.close(1000)
  await ended(client)
  await turn()
  assert.equal(aborted, 1)
  assert.deepEqual(handled, [])
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
      socket.on('message', () => { socket.emit('error', new Error('nobody listens')) })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  assert.equal((await ended(client)).code, 1011)
  assert.equal(app.sockets.stats().faults, 1)
})

test("a peer's breach of the protocol is no fault of ours where nobody listens for 'error'", async (t) => {
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

// ——— isolation: false

const FIXTURE = new URL('../fixtures/not-isolated.ts', import.meta.url)

for (const [mode, event] of [
  ['sync', 'uncaughtException'],
  ['error-event', 'uncaughtException'],
  ['message-rejection', 'unhandledRejection'],
  ['event-listener-rejection', 'unhandledRejection'],
  ['close-rejection', 'unhandledRejection']
] as const) {
  test(`without isolation the process gets it, as with ws alone: ${mode}`, async (t) => {
    const child = fork(FIXTURE, [mode], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    t.after(() => { child.kill('SIGKILL') })
    const exited = once(child, 'exit')
    const [message] = await Promise.race([once(child, 'message'), exited.then(([code]) => [`exit ${String(code)} before a message`])]) as [unknown]
    assert.deepEqual(message, { event, text: 'boom' })
    assert.equal((await exited)[0], 0)
  })
}

test('without isolation a promise of a listener is work all the same, and errors of handlers go where @fastify/websocket sends them', async (t) => {
  const app = await start(t, { isolation: false }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', async () => {
        await turn()
        socket.send('done')
      })
    })
    app.get('/handler', { websocket: true }, async () => { throw new Error('handler') })
  })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  await until(() => app.sockets.stats().working === 1 || client.unread.length > 0)
  assert.equal(await client.next(), 'done')
  const failing = await connect(t, app, '/handler')
  assert.equal((await ended(failing)).code, 1006)
})
