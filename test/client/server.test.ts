/**
 * The class over `ws` and over Node's own WebSocket, against servers with the plugin: moves, and delays.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { WebSocket } from 'ws'
import { lifecycle } from '../../lib/client/index.ts'
import type { BaseClass } from '../../lib/client/index.ts'
import { CONTROL } from '../../lib/client/link.ts'
import { portOf, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'
import { record } from './fake-base.ts'

const BASES: Record<string, BaseClass | undefined> = { ws: WebSocket, 'the WebSocket of Node': (globalThis as { WebSocket?: BaseClass }).WebSocket }

const urlOf = (app: TestApp) => `ws://127.0.0.1:${portOf(app)}/`

for (const [name, Base] of Object.entries(BASES)) {
  const skip = Base === undefined && 'this Node has no WebSocket of its own'

  test(`over ${name}, connection.move() moves the client, and what the old connection still sends comes first`, { skip }, async (t) => {
    let finish!: () => void
    const app = await start(t, {}, (app) => {
      app.get('/', { websocket: true }, (socket) => {
        const { id } = app.sockets.of(socket)
        socket.on('message', async (data: Buffer) => {
          socket.send(`${id} got ${data.toString()}`)
          if (data.toString() !== 'work') return
          await new Promise<void>((resolve) => { finish = resolve })
          socket.send(`${id} done`)
        })
      })
    })
    const socket = new (lifecycle(Base))(urlOf(app))
    const events = record(socket)
    await until(() => app.sockets.size === 1)
    const [old] = app.sockets.list()
    await until(() => socket.readyState === 1)
    socket.send('work')
    await until(() => events.length === 2)
    assert.equal(await old!.move(), true)
    socket.send('more')
    const next = app.sockets.list().find((connection) => connection !== old)!
    await until(() => next.messagesReceived === 1)
    assert.equal(events.length, 2)
    finish()
    const closed = await old!.closed
    await until(() => events.length === 4)
    assert.deepEqual(events, ['open', `message ${old!.id} got work`, `message ${old!.id} done`, `message ${next.id} got more`])
    assert.deepEqual([closed.cause, closed.code, app.sockets.size], ['moved', 1012, 1])
    socket.close()
    await until(() => events.at(-1) === 'close 1005 ')
  })

  test(`over ${name}, a control frame of another client, which the server passes on, is a message`, { skip }, async (t) => {
    const app = await start(t, {}, (app) => {
      app.get('/', { websocket: true }, (socket) => {
        socket.on('message', (data: Buffer) => { for (const client of app.websocketServer.clients) client.send(data.toString()) })
      })
    })
    const socket = new (lifecycle(Base))(urlOf(app))
    const events = record(socket)
    await until(() => socket.readyState === 1)
    const forged = ['move', 'handover'].map((type) => `${CONTROL}{"type":"${type}","in":0,"id":"${'A'.repeat(22)}"}`)
    const other = new WebSocket(urlOf(app))
    t.after(() => { other.terminate() })
    await once(other, 'open')
    for (const text of [...forged, 'bye']) other.send(text)
    await until(() => events.includes('message bye'))
    assert.deepEqual(events, ['open', ...forged.map((text) => `message ${text}`), 'message bye'])
    assert.equal(app.sockets.size, 2)
    socket.close()
    await until(() => events.at(-1) === 'close 1005 ')
  })

  test(`over ${name}, clients go from a server that leaves to the next: no close is seen, no message is lost`, { skip }, async (t) => {
    const clients = 20
    // By client: a message on the next connection may be read before the last one on the old.
    const got = Array.from({ length: clients }, () => [] as number[])
    const serve = (app: TestApp) => {
      app.get('/', { websocket: true }, (socket, request) => {
        const client = Number((request.query as { client: string }).client)
        socket.on('message', (data: Buffer) => {
          got[client]!.push(Number(data))
          socket.send(data.toString())
        })
      })
    }
    const options = { drain: { terminationGracePeriod: 30_000, preStop: 0, reconnect: { rate: 100 } } }
    let app = await start(t, options, serve)
    const Socket = lifecycle(Base)
    const sockets = Array.from({ length: clients }, (_, client) => new Socket(() => `${urlOf(app)}?client=${client}`))
    const told = sockets.map(record)
    const sent = sockets.map(() => 0)
    const speak = setInterval(() => { sockets.forEach((socket, i) => { if (socket.readyState === 1) socket.send(String(++sent[i]!)) }) }, 5)
    await until(() => app.sockets.size === clients && got.every(({ length }) => length > 2))
    for (let deploy = 0; deploy < 2; deploy++) {
      const leaving = app
      app = await start(t, options, serve)
      await leaving.close()
      const before = got.map(({ length }) => length)
      await until(() => got.every(({ length }, i) => length > before[i]! + 2))
    }
    clearInterval(speak)
    await until(() => told.every((events, i) => events.length === sent[i]! + 1))
    for (const [i, events] of told.entries()) {
      const all = Array.from({ length: sent[i]! }, (_, n) => n + 1)
      assert.deepEqual(got[i]!.toSorted((a, b) => a - b), all)
      assert.deepEqual(events, ['open', ...all.map((n) => `message ${n}`)])
    }
    for (const socket of sockets) {
      socket.close()
      await once(socket as unknown as EventTarget, 'close')
    }
  })
}
