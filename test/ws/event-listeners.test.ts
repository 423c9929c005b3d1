import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { workName } from '../../lib/drain/holders.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { turn } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { connect, start, until } from '../helpers/server.ts'

/** What a handler does with its socket, and what it noted meanwhile. */
type Scenario = (socket: WebSocket, note: (what: unknown) => void) => void

interface EventLike { type: string, target: unknown, data?: unknown, code?: number, reason?: string, wasClean?: boolean }

const show = ({ type, data, code, reason, wasClean }: EventLike) => ({ type, data: data === undefined ? undefined : String(data), code, reason, wasClean })

/** Each is run on a bare ws server and on ours; what was noted must be the same. The client sends one, two, closes 4001. */
const scenarios: Record<string, Scenario> = {
  'addEventListener gives events': (socket, note) => {
    socket.addEventListener('message', (event) => { note(show(event)); note(event.target === socket) })
    socket.addEventListener('close', (event) => { note(show(event)) })
  },
  '`this` of a function is the socket, of an object the object': (socket, note) => {
    socket.addEventListener('message', function (this: unknown) { note(this === socket) } as never)
    const object = { handleEvent (this: unknown) { note(this === object) } }
    socket.addEventListener('message', object as never)
  },
  'an arrow, a function and an object side by side keep their order': (socket, note) => {
    socket.addEventListener('message', () => { note('first') })
    socket.on('message', () => { note('second') })
    socket.addEventListener('message', { handleEvent: () => { note('third') } } as never)
    socket.onmessage = () => { note('fourth') }
  },
  'the same listener twice is called once': (socket, note) => {
    const listener = () => { note('called') }
    socket.addEventListener('message', listener)
    socket.addEventListener('message', listener)
    note(socket.listenerCount('message'))
  },
  'the same listener as attribute and by addEventListener is called twice': (socket, note) => {
    const listener = () => { note('called') }
    socket.onmessage = listener
    socket.addEventListener('message', listener)
    note(socket.listenerCount('message'))
  },
  'one listener for two types': (socket, note) => {
    const listener = (event: EventLike) => { note(event.type) }
    socket.addEventListener('message', listener)
    socket.addEventListener('close', listener)
  },
  'removeEventListener removes it': (socket, note) => {
    const listener = () => { note('never') }
    socket.addEventListener('message', listener)
    socket.removeEventListener('message', listener)
    note(socket.listenerCount('message'))
  },
  'removeEventListener of an object removes it': (socket, note) => {
    const listener = { handleEvent: () => { note('never') } }
    socket.addEventListener('message', listener as never)
    socket.removeEventListener('message', listener as never)
    note(socket.listenerCount('message'))
  },
  'removeEventListener of an unknown listener does nothing': (socket, note) => {
    socket.addEventListener('message', () => { note('called') })
    socket.removeEventListener('message', () => {})
    note(socket.listenerCount('message'))
  },
  'removeEventListener does not remove an attribute': (socket, note) => {
    const listener = () => { note('called') }
    socket.onmessage = listener
    socket.removeEventListener('message', listener)
    note(socket.listenerCount('message'))
  },
  'once: true': (socket, note) => {
    const listener = () => { note('called') }
    socket.addEventListener('message', listener, { once: true })
    socket.addEventListener('message', listener, { once: true })
    note(socket.listenerCount('message'))
  },
  'an attribute is read as it was set': (socket, note) => {
    note([socket.onmessage, socket.onclose, socket.onerror, socket.onopen])
    const listener = () => { note('called') }
    socket.onmessage = listener
    note(socket.onmessage === listener)
    socket.onclose = listener
    note(socket.onclose === listener)
    socket.onerror = listener
    note(socket.onerror === listener)
    socket.onopen = listener
    note(socket.onopen === listener)
  },
  'an attribute is replaced and taken away': (socket, note) => {
    socket.onmessage = () => { note('never') }
    const listener = () => { note('called'); socket.onmessage = null }
    socket.onmessage = listener
    note(socket.listenerCount('message'))
  },
  'an attribute that is no function is null': (socket, note) => {
    socket.onmessage = 'text' as never
    note(socket.onmessage)
    socket.onmessage = { handleEvent: () => { note('never') } } as never
    note(socket.onmessage)
  },
  'a listener for a type that ws does not know is ignored': (socket, note) => {
    socket.addEventListener('ping' as 'message', () => { note('never') })
    note(socket.eventNames().includes('ping'))
  },
  'a listener that removes itself and the next one': (socket, note) => {
    const next = () => { note('still called, for the list was copied') }
    const listener = () => {
      note('called')
      socket.removeEventListener('message', listener)
      socket.removeEventListener('message', next)
    }
    socket.addEventListener('message', listener)
    socket.addEventListener('message', next)
  },
  'once() and off()': (socket, note) => {
    const listener = (data: unknown) => { note(String(data)) }
    socket.once('message', listener)
    const never = () => { note('never') }
    socket.once('message', never)
    socket.off('message', never)
    note(socket.listenerCount('message', listener))
    note(socket.listeners('message')[0] === listener)
  },
  'prepended listeners come first': (socket, note) => {
    socket.on('message', () => { note('second') })
    socket.prependListener('message', () => { note('first') })
    socket.prependOnceListener('message', () => { note('zeroth') })
  },
  'arguments and this of a listener': (socket, note) => {
    socket.on('message', function (this: unknown, ...args) { note([this === socket, args.length, args[0] instanceof Buffer, args[1]]) })
    socket.on('close', function (this: unknown, ...args) { note([this === socket, args[0], String(args[1])]) })
  },
  'a listener added while one runs is not called for the same message': (socket, note) => {
    socket.once('message', () => {
      note('first')
      socket.on('message', (data) => { note(String(data)) })
    })
  },
  'a listener removed while one runs is still called for the same message': (socket, note) => {
    const second = () => { note('second') }
    socket.on('message', () => { note('first'); socket.off('message', second) })
    socket.on('message', second)
  },
  'newListener and removeListener': (socket, note) => {
    socket.on('newListener' as 'message', (event: unknown) => { note(`new ${String(event)}`) })
    socket.on('removeListener' as 'message', (event: unknown) => { note(`removed ${String(event)}`) })
    socket.once('message', () => {})
  },
  'events of the application': (socket, note) => {
    note(socket.emit('hello', 1))
    socket.on('hello', (...args: unknown[]) => { note(args) })
    note(socket.emit('hello', 1, 2))
    const key = Symbol('key')
    socket.on(key, () => { note('symbol') })
    note(socket.emit(key))
  },
  'what emit returns for a message': (socket, note) => {
    note(socket.emit('message', Buffer.from('x'), false))
    socket.once('message', () => {})
    note(socket.emit('message', Buffer.from('x'), false))
  },
  'events.once()': (socket, note) => {
    void once(socket, 'message').then(([data]) => { note(String(data)) })
  }
}

async function run (scenario: Scenario, notes: unknown[], socket: WebSocket, client: WebSocket): Promise<void> {
  const closed = once(socket, 'close')
  scenario(socket, (what) => { notes.push(what) })
  client.send('one')
  client.send('two')
  client.close(4001, 'bye')
  await closed
  await turn()
}

/** What happens on a ws server without the plugin. */
async function bare (t: TestContext, scenario: Scenario): Promise<unknown[]> {
  const notes: unknown[] = []
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.after(() => { server.close() })
  await once(server, 'listening')
  const connected = once(server, 'connection')
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const [[socket]] = await Promise.all([connected, once(client, 'open')]) as [[WebSocket], unknown]
  await run(scenario, notes, socket, client)
  return notes
}

for (const [what, scenario] of Object.entries(scenarios)) {
  test(`as on a bare ws socket: ${what}`, async (t) => {
    const expected = await bare(t, scenario)
    const notes: unknown[] = []
    const app = await start(t, {}, plain)
    const client = await connect(t, app, '/')
    await run(scenario, notes, app.sockets.list()[0]!.socket, client.socket)
    assert.deepEqual(notes, expected)
    await until(() => app.sockets.size === 0)
    assert.equal(app.sockets.stats().faults, 0)
  })
}

const listeners: Array<[what: string, name: string, add: (socket: WebSocket, listener: () => Promise<void>) => void]> = [
  ["on('message')", 'answer', (socket, listener) => { socket.on('message', listener) }],
  ["once('message')", 'message listener', (socket, listener) => { socket.once('message', listener) }],
  ["addEventListener('message')", 'answer', (socket, listener) => { socket.addEventListener('message', listener) }],
  ['onmessage', 'answer', (socket, listener) => { socket.onmessage = listener }],
  ['handleEvent', 'anonymous', (socket, listener) => { socket.addEventListener('message', { handleEvent: listener } as never) }],
  ['handleEvent of an object with a name', 'chat', (socket, listener) => { socket.addEventListener('message', { name: 'chat', handleEvent: listener } as never) }]
]

for (const [what, name, add] of listeners) {
  test(`the promise of ${what} is work that a drain waits for, named "${name}"`, async (t) => {
    const { promise: work, resolve: finish } = deferred<void>()
    const app = await start(t, {}, (app) => {
      app.get('/', { websocket: true }, (socket) => {
        add(socket, async function answer () {
          await work
          socket.send('result')
        })
      })
    })
    const client = await connect(t, app, '/')
    client.socket.send('go')
    await until(() => app.sockets.stats().working === 1)
    assert.equal(workName(app.sockets.list()[0] as ManagedConnection), name)
    const grace = new Promise<void>((resolve) => {
      app.sockets.on('progress', ({ phase }) => { if (phase === 'grace') resolve() })
    })
    const drained = app.sockets.drain()
    await grace
    assert.equal(client.socket.readyState, WebSocket.OPEN)
    finish()
    assert.equal(await client.next(), 'result')
    const { work: counted } = await drained
    assert.deepEqual(counted, { inFlight: 1, finished: 1, abandoned: 0 })
  })
}

test('the promises of other listeners are no work', async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('ping', () => new Promise(() => {})) })
  })
  const client = await connect(t, app, '/')
  client.socket.ping()
  await once(client.socket, 'pong')
  assert.equal(app.sockets.stats().working, 0)
})

test('one listener function for the sockets of two apps obeys the isolation of each', async (t) => {
  const rejections: unknown[] = []
  // Registered for this test only; node:test would fail it otherwise.
  const listener = async () => { await Promise.resolve(); throw new Error('boom') }
  const routes = (app: Parameters<NonNullable<Parameters<typeof start>[2]>>[0]) => {
    app.get('/', { websocket: true }, (socket) => { socket.addEventListener('message', listener) })
  }
  const open = await start(t, { isolation: false }, routes)
  const isolated = await start(t, {}, routes)
  // The app without isolation is the first to see the function, and gets no message.
  await connect(t, open, '/')
  const client = await connect(t, isolated, '/')
  const seen = (error: unknown) => { rejections.push(error) }
  const kept = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', seen)
  t.after(() => {
    process.off('unhandledRejection', seen)
    for (const one of kept) process.on('unhandledRejection', one)
  })
  client.socket.send('go')
  await until(() => rejections.length > 0 || isolated.sockets.size === 0)
  assert.deepEqual(rejections, [])
  assert.equal((await client.closed).code, 1011)
})
