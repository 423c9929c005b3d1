/**
 * phoenix over a server that speaks as much of its channels (serializer 2.0.0) as it needs: join, heartbeat, push and reply.
 */
import assert from 'node:assert/strict'
import type { FastifyInstance } from 'fastify'
import { Socket } from 'phoenix'
import { first, question } from './library.ts'
import type { Library } from './library.ts'

/** Join reference, reference, topic, event, payload. */
type Message = [joinRef: string | null, ref: string | null, topic: string, event: string, payload: object]

const TOPIC = 'room:numbers'

export const phoenix: Library<Socket> = {
  name: 'phoenix',
  address: (host) => `ws://${host}/phoenix`,
  serve (app: FastifyInstance) {
    app.get('/phoenix/websocket', { websocket: true }, (socket) => {
      socket.on('message', (data: Buffer) => {
        const [joinRef, ref, topic, event, payload] = JSON.parse(data.toString()) as Message
        if (event === 'phx_join') app.sockets.of(socket).tag(topic)
        socket.send(JSON.stringify([joinRef, ref, topic, 'phx_reply', { status: 'ok', response: payload }] satisfies Message))
      })
    })
    return (number) => {
      void app.sockets.broadcast(JSON.stringify([null, null, TOPIC, 'number', { number }] satisfies Message), { tag: TOPIC })
    }
  },
  byItself: (url, WebSocket) => new Socket(url, { transport: WebSocket }),
  use (client) {
    const received: number[] = []
    let losses = 0
    client.onClose(() => { losses++ })
    client.connect()
    const channel = client.channel(TOPIC)
    channel.on('number', ({ number }: { number: number }) => { received.push(number) })
    channel.join()
    return {
      works: async () => {
        const text = question()
        const response = await first((resolve) => { channel.push('echo', { text }).receive('ok', resolve) })
        assert.deepEqual(response, { text })
      },
      received,
      losses: () => losses,
      stop: () => { client.disconnect() }
    }
  }
}
