/**
 * centrifuge over a server that speaks as much of Centrifugo's JSON protocol as it needs: connect, subscribe, rpc and publications.
 */
import assert from 'node:assert/strict'
import type { FastifyInstance } from 'fastify'
import { Centrifuge } from 'centrifuge'
import { question } from './library.ts'
import type { Library } from './library.ts'

interface Command {
  id?: number
  connect?: object
  subscribe?: { channel: string }
  rpc?: { data: unknown }
}

const CHANNEL = 'numbers'

function answerTo ({ id, connect, subscribe, rpc }: Command): object {
  if (connect !== undefined) return { id, connect: { client: 'a client', version: 'test' } }
  if (subscribe !== undefined) return { id, subscribe: {} }
  return { id, rpc: { data: rpc!.data } }
}

export const centrifuge: Library<Centrifuge> = {
  name: 'centrifuge',
  address: (host) => `ws://${host}/centrifuge`,
  serve (app: FastifyInstance) {
    app.get('/centrifuge', { websocket: true }, (socket) => {
      socket.on('message', (data: Buffer) => {
        // Commands that are sent together are lines of one message.
        const commands = data.toString().trim().split('\n').map((line) => JSON.parse(line) as Command)
        for (const { subscribe } of commands) if (subscribe !== undefined) app.sockets.of(socket).tag(subscribe.channel)
        socket.send(commands.map((command) => JSON.stringify(answerTo(command))).join('\n'))
      })
    })
    return (number) => {
      void app.sockets.broadcast(JSON.stringify({ push: { channel: CHANNEL, pub: { data: { number } } } }), { tag: CHANNEL })
    }
  },
  byItself: (url, websocket) => new Centrifuge(url, { websocket }),
  use (client) {
    const received: number[] = []
    let losses = 0
    // `connect()` is one reason to connect, the loss of a connection the other.
    client.on('connecting', ({ reason }) => { if (reason !== 'connect called') losses++ })
    client.on('disconnected', () => { losses++ })
    const subscription = client.newSubscription(CHANNEL)
    subscription.on('publication', ({ data }) => { received.push((data as { number: number }).number) })
    subscription.subscribe()
    client.connect()
    return {
      works: async () => {
        const text = question()
        await client.ready()
        assert.deepEqual((await client.rpc('echo', { text })).data, { text })
      },
      received,
      losses: () => losses,
      stop: () => { client.disconnect() }
    }
  }
}
