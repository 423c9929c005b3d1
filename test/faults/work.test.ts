/**
 * Work in flight, and handlers that fail: what a drain waits for, what it gives up, and what the report says of both.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'node:test'
import type { DrainReport } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/clock.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { sendJob } from '../helpers/busy.ts'
import {
  assertBounded, assertClean, connect, logged, Opcode, passUntil, rawConnect, reportOf, start, until
} from '../helpers/server.ts'

/** For drains whose time is to run out. */
const QUICK = { drain: { timeout: 1_000 } }
/** For drains that end by themselves: no deadline decides, however slow the machine is. */
const PATIENT = { closeTimeout: 60_000, drain: { timeout: 90_000 } }

test('a reply that an async listener owes arrives before the close frame', async (t) => {
  const { promise, resolve: open } = deferred<void>()
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', async () => {
        await promise
        socket.send('done')
      })
    })
  })
  const client = await connect(t, app, '/')
  await sendJob(app, client)
  app.sockets.on('progress', ({ phase }) => { if (phase === 'grace') open() })
  await app.close()
  assert.equal(await client.next(), 'done')
  assert.equal((await client.closed).code, 1012)
  const report = reportOf(app)
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
  assert.equal(report.connections.clean, 1)
  assertBounded(report)
})

test('a job sent at the moment of the close is read, done and answered', async (t) => {
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', async () => {
        await sleep(50)
        socket.send('done')
      })
    })
  })
  const client = await rawConnect(t, app, '/')
  client.send(Opcode.Text, 'job')
  // What is in the kernel's buffer when the drain starts was sent by a client that did not know of the drain.
  const closing = app.close()
  assert.equal((await client.frame()).payload.toString(), 'done')
  assert.equal((await client.closeFrame()).code, 1012)
  client.sendClose(1012)
  client.end()
  await closing
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
})

test('work that never ends is given up at the end of grace, and its client is closed with the code of the drain', async (t) => {
  const { promise, resolve: open } = deferred<void>()
  const clock = createClock()
  const app = await start(t, { ...QUICK, clock }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', () => promise)
    })
  })
  const busy = await connect(t, app, '/')
  const idle = await connect(t, app, '/')
  busy.socket.send('job')
  await until(() => app.sockets.stats().working === 1)
  const closing = app.close()
  // Idle connections go first: no time passes before.
  assert.equal((await idle.closed).code, 1012)
  assert.equal(app.sockets.count({ state: 'draining' }), 1)
  await passUntil(clock, () => app.sockets.count({ state: 'draining' }) === 0)
  assert.equal((await busy.closed).code, 1012)
  await closing
  const report = reportOf(app)
  assert.ok(report.duration <= report.timeout)
  assert.ok(report.duration >= app.sockets.plan().grace, 'grace was waited for')
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
  assert.equal(report.connections.clean, 2)
  // Nothing can end a promise: the work of a closed connection goes on, and is known until it ends.
  assert.equal(app.sockets.stats().working, 1)
  open()
})

test('many works of one connection are waited for, those that begin in grace, too', async (t) => {
  let done = 0
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      const step = async (left: number): Promise<void> => {
        await sleep(20)
        done++
        // Begun before this one has ended: there is no moment without work.
        if (left > 0) void connection.track(step(left - 1))
      }
      socket.on('message', () => { for (let i = 0; i < 10; i++) void connection.track(step(4)) })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  await until(() => app.sockets.stats().working === 1)
  await app.close()
  assert.equal(done, 50)
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
  assert.equal((await client.closed).code, 1012)
})

test('tracked work that rejects is work that has ended', async (t) => {
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      void connection.track(sleep(100).then(() => { throw new Error('stopped') })).catch(() => {})
    })
  })
  const client = await connect(t, app, '/')
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
  assert.equal(logged(app, /tracked work failed/).length, 1)
})

test('work that ends on its drainSignal is counted as in flight, and finished', async (t) => {
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      void connection.track(new Promise((resolve) => { connection.drainSignal.addEventListener('abort', resolve) }))
    })
  })
  const client = await connect(t, app, '/')
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
})

test('messages() delivers what is queued until grace ends, then the loop ends', async (t) => {
  const seen: string[] = []
  let ended = false
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      for await (const message of app.sockets.of(socket).messages()) {
        await sleep(10)
        seen.push(String(message))
        socket.send(String(message))
      }
      ended = true
    })
  })
  const client = await connect(t, app, '/')
  for (let i = 0; i < 10; i++) client.socket.send(String(i))
  await until(() => app.sockets.stats().working === 1)
  await app.close()
  assert.deepEqual(seen, Array.from({ length: 10 }, (_, i) => String(i)))
  assert.deepEqual(client.unread, seen)
  assert.ok(ended)
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
  assert.equal(app.sockets.history[0]!.dropped, 0)
})

test('messages() drops and counts what is left when its body never returns', async (t) => {
  const { promise, resolve: open } = deferred<void>()
  const seen: unknown[] = []
  const app = await start(t, QUICK, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      for await (const message of app.sockets.of(socket).messages()) {
        seen.push(message)
        await promise
      }
    })
  })
  const client = await connect(t, app, '/')
  for (let i = 0; i < 10; i++) client.socket.send(String(i))
  await until(() => app.sockets.list()[0]!.messagesReceived === 10)
  await app.close()
  const report = reportOf(app)
  assertBounded(report)
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
  assert.equal(app.sockets.history[0]!.dropped, 9)
  assert.equal((await client.closed).code, 1012)
  open()
  await until(() => app.sockets.stats().working === 0)
  assert.deepEqual(seen, ['0'])
})

test('a handler that waits for its socket is no work; on a route with waitForHandler it is', async (t) => {
  const finished: string[] = []
  const app = await start(t, PATIENT, (app) => {
    const handler = (name: string) => async (socket: Parameters<typeof app.sockets.of>[0]) => {
      const { drainSignal, signal } = app.sockets.of(socket)
      await new Promise((resolve) => { drainSignal.addEventListener('abort', resolve) })
      await sleep(100)
      finished.push(`${name} ${signal.aborted ? 'after' : 'before'} the close`)
    }
    app.get('/plain', { websocket: true }, handler('plain'))
    app.get('/waits', { websocket: true, config: { sockets: { waitForHandler: true } } }, handler('waits'))
  })
  const clients = await Promise.all([connect(t, app, '/plain'), connect(t, app, '/waits')])
  await app.close()
  for (const { closed } of clients) assert.equal((await closed).code, 1012)
  await until(() => finished.length === 2)
  assert.deepEqual(finished.sort(), ['plain after the close', 'waits before the close'])
  assert.deepEqual(reportOf(app).work, { inFlight: 1, finished: 1, abandoned: 0 })
})

test('a compressed job sent at the moment of the close is inflated, done and answered', async (t) => {
  const app = await start(t, { ...PATIENT, options: { perMessageDeflate: { threshold: 0 } } }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', async (data) => {
        await sleep(20)
        socket.send(`done ${String(data).length}`)
      })
    })
  })
  const client = await connect(t, app, '/', { perMessageDeflate: { threshold: 0 } })
  client.socket.send('x'.repeat(200_000))
  // The pong comes when the job has arrived, or is being inflated.
  client.socket.ping()
  await new Promise((resolve) => { client.socket.once('pong', resolve) })
  await app.close()
  assert.equal(await client.next(), 'done 200000')
  assert.equal((await client.closed).code, 1012)
})

test('what a handler does after its connection has closed breaks nothing', async (t) => {
  const errors: unknown[] = []
  const app = await start(t, PATIENT, (app) => {
    app.sockets.on('error', (error) => { errors.push(error) })
    app.get('/', { websocket: true }, async (socket) => {
      const connection = app.sockets.of(socket)
      await connection.closed
      socket.send('too late', () => {})
      socket.ping(() => {})
      socket.close(1000)
      socket.terminate()
      await Promise.all([connection.close(), connection.terminate()])
      connection.tag('late')
      connection.setOwner('late')
      for await (const message of connection.messages()) assert.fail(String(message))
      void connection.track(Promise.resolve())
      connection.defer(() => {})
      assert.equal(connection.signal.aborted, true)
      assert.equal(connection.state, 'closed')
    })
  })
  const client = await connect(t, app, '/')
  client.socket.close(1000)
  await until(() => app.sockets.stats().cleanups.finished === 1)
  assert.deepEqual(app.sockets.list({ where: () => true }), [])
  assert.deepEqual(errors, [])
  await assertClean(app)
})

// ——— handlers and listeners that fail

const HOSTILE: Array<[what: string, thrown: () => unknown]> = [
  ['an error', () => new Error('boom')],
  ['null', () => null],
  ['undefined', () => undefined],
  ['a string', () => 'boom'],
  ['an object whose getters throw', () => new Proxy({}, { get () { throw new Error('trap') } })],
  ['a frozen error without a stack', () => { const error = new Error('boom'); delete error.stack; return Object.freeze(error) }]
]

for (const [what, thrown] of HOSTILE) {
  test(`a listener that throws ${what} ends its own connection with 1011, and no other notices`, async (t) => {
    const errors: unknown[] = []
    const app = await start(t, QUICK, (app) => {
      app.sockets.on('error', (error) => { errors.push(error) })
      app.get('/', { websocket: true }, (socket) => { socket.on('message', () => { throw thrown() }) })
      app.get('/other', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
    })
    const client = await connect(t, app, '/')
    const other = await connect(t, app, '/other')
    client.socket.send('x')
    client.socket.send('never heard')
    assert.equal((await client.closed).code, 1011)
    assert.equal(errors.length, 1)
    other.socket.send('still here')
    assert.equal(await other.next(), 'still here')
    await app.close()
    assert.equal(reportOf(app).connections.total, 1)
  })

  test(`an async listener that rejects with ${what} ends its own connection with 1011`, async (t) => {
    const app = await start(t, QUICK, (app) => {
      app.get('/', { websocket: true }, (socket) => {
        socket.on('message', async () => {
          await Promise.resolve()
          throw thrown()
        })
      })
    })
    const client = await connect(t, app, '/')
    client.socket.send('x')
    assert.equal((await client.closed).code, 1011)
    await until(() => app.sockets.size === 0)
    assert.equal(app.sockets.history[0]!.cause, 'error')
    await assertClean(app)
  })

  test(`a handler that throws ${what} at once is terminated, and leaves nothing`, async (t) => {
    const app = await start(t, QUICK, (app) => {
      app.get('/sync', { websocket: true }, () => { throw thrown() })
      app.get('/async', { websocket: true }, async () => {
        await Promise.resolve()
        throw thrown()
      })
    })
    for (const path of ['/sync', '/async']) assert.equal((await (await connect(t, app, path)).closed).code, 1006)
    await until(() => app.sockets.size === 0)
    assert.deepEqual(app.sockets.stats().closed, { error: 2 })
    await assertClean(app)
  })
}

test('a handler that fails after its first message is closed with errorCode', async (t) => {
  const app = await start(t, { ...QUICK, errorCode: 4500 }, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const [message] = await new Promise<unknown[]>((resolve) => { socket.once('message', (...args) => { resolve(args) }) })
      throw new Error(`no use for ${String(message)}`)
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('x')
  assert.equal((await client.closed).code, 4500)
  await until(() => app.sockets.size === 0)
  assert.equal(app.sockets.history[0]!.cause, 'error')
})

test('a listener that throws while the drain waits for its work ends that work', async (t) => {
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      const connection = app.sockets.of(socket)
      socket.on('message', async () => {
        await new Promise((resolve) => { connection.drainSignal.addEventListener('abort', resolve) })
        throw new Error('failed while draining')
      })
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('x')
  await until(() => app.sockets.stats().working === 1)
  await app.close()
  assert.equal((await client.closed).code, 1011)
  const report = reportOf(app)
  assert.deepEqual(report.connections.causes, { error: 1 })
  assert.equal(report.connections.clean, 1)
  assertBounded(report)
})

test('a handler that throws when its signal is aborted has done what it was told', async (t) => {
  const errors: unknown[] = []
  const app = await start(t, QUICK, (app) => {
    app.sockets.on('error', (error) => { errors.push(error) })
    app.get('/', { websocket: true }, async (socket) => {
      const { signal } = app.sockets.of(socket)
      socket.on('message', async () => { await sleep(60_000, undefined, { signal }) })
      await new Promise((resolve) => { signal.addEventListener('abort', resolve) })
      signal.throwIfAborted()
    })
  })
  const client = await connect(t, app, '/')
  client.socket.send('x')
  await until(() => app.sockets.stats().working === 1)
  await app.close()
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(errors, [])
  assert.equal(app.logs.filter(({ level }) => level >= 50).length, 0)
})

test('a listener that throws on \'close\' or \'error\' spoils neither the record nor the drain', async (t) => {
  const errors: unknown[] = []
  const app = await start(t, { ...QUICK, options: { maxPayload: 10 } }, (app) => {
    app.sockets.on('error', (error) => { errors.push(error) })
    app.get('/', { websocket: true }, (socket) => {
      socket.on('close', () => { throw new Error('on close') })
      socket.on('error', () => { throw new Error('on error') })
    })
  })
  const broken = await connect(t, app, '/')
  broken.socket.send('x'.repeat(100))
  assert.equal((await broken.closed).code, 1009)
  const drained = await connect(t, app, '/')
  await app.close()
  assert.equal((await drained.closed).code, 1012)
  assert.equal(reportOf(app).connections.unfinished, 0)
  assert.deepEqual(errors.map((error) => (error as Error).message).sort(), ['on close', 'on close', 'on error'])
})

test('a handler that removes every listener does not blind the tracker', async (t) => {
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.removeAllListeners() })
  })
  const clean = await connect(t, app, '/')
  clean.socket.close(1000)
  await until(() => app.sockets.history.length === 1)
  assert.equal(app.sockets.history[0]!.cause, 'client')
  const drained = await connect(t, app, '/')
  await app.close()
  assert.equal((await drained.closed).code, 1012)
  assert.equal(reportOf(app).connections.clean, 1)
})

test('a handler that destroys the raw socket itself is closed as vanished', async (t) => {
  const app = await start(t, QUICK, (app) => {
    app.get('/', { websocket: true }, (_socket, { raw }) => { raw.socket.destroy() })
  })
  const client = await connect(t, app, '/')
  assert.equal((await client.closed).code, 1006)
  await until(() => app.sockets.size === 0)
  assert.equal(app.sockets.history[0]!.cause, 'network')
  await assertClean(app)
})

test('a handler that closes, terminates and disconnects in every order ends its connection once', async (t) => {
  const ends: Array<(app: Awaited<ReturnType<typeof start>>, id: number) => unknown> = [
    (app, id) => app.sockets.get(id)?.close(4000, 'first'),
    (app, id) => app.sockets.get(id)?.terminate(),
    (app, id) => app.sockets.get(id)?.socket.close(4001),
    (app, id) => app.sockets.get(id)?.socket.terminate(),
    (app, id) => app.sockets.disconnect({ where: (connection) => connection.id === id })
  ]
  const closed: number[] = []
  const app = await start(t, QUICK, (app) => {
    app.sockets.on('closed', ({ id }) => { closed.push(id) })
    app.get<{ Querystring: { order: string } }>('/', { websocket: true }, (socket, request) => {
      const { id } = app.sockets.of(socket)
      for (const index of (request.query as { order: string }).order) void ends[Number(index)]!(app, id)
    })
  })
  const orders = ends.flatMap((_, a) => ends.map((_, b) => `${a}${b}`))
  await Promise.all(orders.map(async (order) => (await connect(t, app, `/?order=${order}`)).closed))
  await until(() => app.sockets.size === 0)
  assert.equal(closed.length, orders.length)
  assert.equal(new Set(closed).size, orders.length)
  await assertClean(app)
})

test('a handler that drains the server is closed by that drain', async (t) => {
  const app = await start(t, QUICK, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      const report = await app.sockets.drain()
      assert.equal(report.connections.total, 1)
      socket.emit('drained-for-the-test')
    })
  })
  const client = await connect(t, app, '/')
  assert.equal((await client.closed).code, 1012)
  await until(() => app.reports.length === 1)
  assertBounded(reportOf(app))
})

test('a handler that closes the app from a listener does not wait for itself', async (t) => {
  const app = await start(t, QUICK, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', () => app.close()) })
  })
  const client = await connect(t, app, '/')
  client.socket.send('quit')
  assert.equal((await client.closed).code, 1012)
  await app.close()
  const report = reportOf(app)
  assertBounded(report)
  // The listener's promise is work that waits for the drain: it is given up, and it cannot have been finished.
  assert.deepEqual(report.work, { inFlight: 1, finished: 0, abandoned: 1 })
})

test('the report and the log name the listeners, handlers and cleanups that held the drain', async (t) => {
  const { promise: never, resolve: open } = deferred<void>()
  const app = await start(t, { drain: { timeout: 1_500 } }, (app) => {
    app.get('/on', { websocket: true }, (socket) => { socket.on('message', async function answer () { await never }) })
    app.get('/listener', { websocket: true }, (socket) => { socket.addEventListener('message', async function listen () { await never }) })
    app.get('/object', { websocket: true }, (socket) => { socket.addEventListener('message', { handleEvent: async () => { await never } } as never) })
    app.get('/handler', { websocket: true, config: { sockets: { waitForHandler: true } } }, async function handle () { await never })
    app.get('/cleanup', { websocket: true }, (socket) => { app.sockets.of(socket).defer(async function release () { await never }) })
  })
  for (const route of ['/on', '/listener', '/object', '/handler', '/cleanup']) (await connect(t, app, route)).socket.send('x')
  await until(() => app.sockets.stats().working === 4)
  await app.close()
  const { held } = reportOf(app)
  const named = Object.fromEntries(held.map(({ route, what, name }) => [route, [what, name]]))
  assert.deepEqual({ ...named, '/object': named['/object']?.[0] },
    { '/on': ['work', 'answer'], '/listener': ['work', 'listen'], '/object': 'work', '/handler': ['work', 'handle'], '/cleanup': ['cleanup', 'release'] })
  assert.deepEqual((logged(app, /sockets drained/)[0]!['report'] as DrainReport).held, held)
  open()
  await until(() => app.sockets.stats().working === 0)
})
