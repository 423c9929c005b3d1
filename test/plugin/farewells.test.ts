/**
 * What close listeners and cleanups of one connection send to the others while all of them leave: nothing, unless asked for.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { WebSocket } from 'ws'
import type { LifecycleOptions } from '../../lib/index.ts'
import { plain } from '../helpers/routes.ts'
import { connect, portOf, reportOf, start } from '../helpers/server.ts'
import type { TestApp, TestClient } from '../helpers/server.ts'

const SIZE = 8

/** A room in which every one that leaves is told to the rest, in the way given. */
async function room (t: TestContext, how: (app: TestApp, socket: WebSocket, rest: () => WebSocket[]) => void, options: LifecycleOptions = {}): Promise<{ app: TestApp, clients: TestClient[] }> {
  const members = new Set<WebSocket>()
  const app = await start(t, options, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      members.add(socket)
      app.sockets.of(socket).tag('room')
      how(app, socket, () => {
        members.delete(socket)
        return [...members]
      })
    })
  })
  const clients: TestClient[] = []
  for (let i = 0; i < SIZE; i++) clients.push(await connect(t, app, '/'))
  return { app, clients }
}

/** Closes the app; returns what the clients were sent. */
async function shutDown (app: TestApp, clients: TestClient[]): Promise<unknown[]> {
  await app.close()
  for (const { code } of await Promise.all(clients.map(({ closed }) => closed))) assert.equal(code, 1012)
  return clients.flatMap(({ unread }) => unread)
}

const WAYS: Record<string, Parameters<typeof room>[1]> = {
  'a close listener that sends': (_app, socket, rest) => {
    socket.on('close', () => { for (const other of rest()) other.send('left') })
  },
  'a close listener that sends after an await': (_app, socket, rest) => {
    socket.on('close', async () => {
      await Promise.resolve()
      for (const other of rest()) other.send('left')
    })
  },
  'a cleanup that sends': (app, socket, rest) => {
    app.sockets.of(socket).defer(() => { for (const other of rest()) other.send('left') })
  },
  'a cleanup that broadcasts after a timer': (app, socket) => {
    app.sockets.of(socket).defer(async () => {
      await new Promise((resolve) => { setTimeout(resolve, 1) })
      await app.sockets.broadcast('left', { tag: 'room' })
    })
  },
  'an abort listener that broadcasts': (app, socket) => {
    app.sockets.of(socket).signal.addEventListener('abort', () => { void app.sockets.broadcast('left', { tag: 'room' }) })
  }
}

for (const [way, how] of Object.entries(WAYS)) {
  test(`${way} reaches no other connection in a shutdown, and is counted`, async (t) => {
    const { app, clients } = await room(t, how)
    assert.deepEqual(await shutDown(app, clients), [])
    assert.ok(reportOf(app).suppressed > 0)
  })
}

test('a listener of the event "closed" that broadcasts reaches no other connection in a shutdown', async (t) => {
  const { app, clients } = await room(t, () => {})
  const results: unknown[] = []
  app.sockets.on('closed', async () => { results.push(await app.sockets.broadcast('left', 'all')) })
  assert.deepEqual(await shutDown(app, clients), [])
  assert.deepEqual(results, Array.from({ length: SIZE }, () => ({ sent: 0, queued: 0, dropped: 0 })))
  assert.equal(reportOf(app).suppressed, SIZE)
})

test('with farewells they are sent', async (t) => {
  const { app, clients } = await room(t, WAYS['a cleanup that sends']!, { drain: { farewells: true } })
  assert.ok((await shutDown(app, clients)).length > 0)
  assert.equal(reportOf(app).suppressed, 0)
})

test('before a drain, and for a client that leaves by itself, the others are told', async (t) => {
  const { app, clients: [first, ...others] } = await room(t, WAYS['a close listener that sends']!)
  await first!.close()
  for (const client of others) assert.equal(await client.next(), 'left')
  assert.deepEqual(await shutDown(app, others), [])
})

test('what a connection sends to another server is sent', async (t) => {
  const other = await start(t, {}, plain)
  const client = await connect(t, other, '/')
  const [target] = other.sockets.list()
  const { app, clients } = await room(t, (_app, socket) => {
    socket.on('close', () => {
      target!.socket.send('left')
      void other.sockets.broadcast('broadcast', 'all')
    })
  })
  assert.ok(portOf(app) !== portOf(other))
  await shutDown(app, clients)
  for (let i = 0; i < SIZE; i++) assert.deepEqual([await client.next(), await client.next()].sort(), ['broadcast', 'left'])
})

test('the callback of a message that is not sent gets an error, and a bad filter still throws', async (t) => {
  const told: unknown[] = []
  const { app, clients } = await room(t, (app, socket, rest) => {
    app.sockets.of(socket).defer(async () => {
      const [other] = rest()
      if (other !== undefined) await new Promise<void>((resolve) => { other.send('left', (error) => { told.push((error as Error & { code: string }).code); resolve() }) })
      try {
        await app.sockets.broadcast('x', { colour: 'red' } as never)
      } catch (error) {
        told.push((error as Error & { code: string }).code)
      }
    })
  })
  await shutDown(app, clients)
  assert.deepEqual([...new Set(told)].sort(), ['SOCKETS_ERR_DRAINING', 'SOCKETS_ERR_INVALID_FILTER'])
})
