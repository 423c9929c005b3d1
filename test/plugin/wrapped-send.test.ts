/**
 * A `send` that was wrapped, wherever and whenever, sees broadcasts as it sees a loop of `send`: text as text, in order.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { plain } from '../helpers/routes.ts'
import { connect, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

type Send = (this: WebSocket, data: string | Buffer, ...rest: unknown[]) => void

/** Wraps the `send` of an object: text is put in brackets. */
function wrap (target: { send: unknown }): unknown[] {
  const seen: unknown[] = []
  const send = target.send as Send
  const wrapper: Send = function (data, ...rest) {
    seen.push(data)
    Reflect.apply(send, this, [typeof data === 'string' ? `[${data}]` : data, ...rest])
  }
  target.send = wrapper
  return seen
}

function wrapPrototype (t: TestContext): unknown[] {
  const { send } = WebSocket.prototype
  t.after(() => { WebSocket.prototype.send = send })
  return wrap(WebSocket.prototype)
}

const serve = (t: TestContext, options = {}): Promise<TestApp> => start(t, { options }, plain)

/** Where and when `send` is wrapped; each gives an app with one client, and what the wrapper sees. */
const places: Record<string, (t: TestContext) => Promise<{ app: TestApp, client: Awaited<ReturnType<typeof connect>>, seen: unknown[] }>> = {
  'WebSocket.prototype, before the plugin': async (t) => {
    const seen = wrapPrototype(t)
    const app = await serve(t)
    return { app, client: await connect(t, app, '/'), seen }
  },
  'WebSocket.prototype, after the connection has opened': async (t) => {
    const app = await serve(t)
    const client = await connect(t, app, '/')
    await app.sockets.broadcast('before', 'all')
    assert.equal(await client.next(), 'before')
    return { app, client, seen: wrapPrototype(t) }
  },
  'a class of the application': async (t) => {
    class Own extends WebSocket {}
    const seen = wrap(Own.prototype)
    const app = await serve(t, { WebSocket: Own })
    return { app, client: await connect(t, app, '/'), seen }
  },
  'a class of the application, after the connection has opened': async (t) => {
    class Own extends WebSocket {}
    const app = await serve(t, { WebSocket: Own })
    const client = await connect(t, app, '/')
    return { app, client, seen: wrap(Own.prototype) }
  },
  'the class of the server': async (t) => {
    const app = await serve(t)
    const client = await connect(t, app, '/')
    return { app, client, seen: wrap((app.websocketServer.options as { WebSocket: typeof WebSocket }).WebSocket.prototype) }
  },
  'the socket': async (t) => {
    const app = await serve(t)
    const client = await connect(t, app, '/')
    return { app, client, seen: wrap(app.sockets.list()[0]!.socket) }
  },
  'the socket, before it was adopted': async (t) => {
    const app = await serve(t)
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    t.after(() => { server.close() })
    await once(server, 'listening')
    const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as { port: number }).port}`)
    t.after(() => { socket.terminate() })
    const received: unknown[] = []
    socket.on('message', (data, isBinary) => { received.push(isBinary ? data : String(data)) })
    await once(socket, 'open')
    const seen = wrap([...server.clients][0]!)
    app.sockets.adopt(server)
    const next = async () => {
      await until(() => received.length > 0)
      return received.shift()
    }
    return { app, client: { next } as Awaited<ReturnType<typeof connect>>, seen }
  }
}

for (const [place, arrange] of Object.entries(places)) {
  test(`a send that was wrapped on ${place}, sees broadcasts`, async (t) => {
    const { app, client, seen } = await arrange(t)
    const { socket } = app.sockets.list()[0]!
    const broadcast = app.sockets.broadcast('text', 'all')
    socket.send('alone')
    assert.deepEqual(await broadcast, { sent: 1, queued: 0, dropped: 0 })
    await app.sockets.broadcast(Buffer.from('bytes'), 'all')
    assert.deepEqual([await client.next(), await client.next(), await client.next()], ['[text]', '[alone]', Buffer.from('bytes')])
    assert.deepEqual(seen, ['text', 'alone', Buffer.from('bytes')])
  })
}
