/**
 * @microsoft/signalr over a server that speaks as much of the JSON hub protocol as it needs: handshake, invocation and completion.
 */
import assert from 'node:assert/strict'
import { HttpTransportType, HubConnectionBuilder, HubConnectionState, LogLevel } from '@microsoft/signalr'
import type { HubConnection, IHttpConnectionOptions } from '@microsoft/signalr'
import type { FastifyInstance } from 'fastify'
import { first, question } from './library.ts'
import type { Library } from './library.ts'

interface Message {
  /** Only the handshake has one. */
  protocol?: string
  type?: number
  invocationId?: string
  arguments?: unknown[]
}

/** Ends every message: several may share a frame. */
const SEPARATOR = '\x1e'
const INVOCATION = 1
const COMPLETION = 3

const record = (message: object): string => JSON.stringify(message) + SEPARATOR

export const signalr: Library<HubConnection> = {
  name: '@microsoft/signalr',
  address: (host) => `http://${host}/hub`,
  serve (app: FastifyInstance) {
    app.get('/hub', { websocket: true }, (socket) => {
      socket.on('message', (data: Buffer) => {
        for (const text of data.toString().split(SEPARATOR).slice(0, -1)) {
          const { protocol, type, invocationId, arguments: [result] = [] } = JSON.parse(text) as Message
          if (protocol !== undefined) {
            app.sockets.of(socket).tag('hub')
            socket.send(record({}))
          } else if (type === INVOCATION) socket.send(record({ type: COMPLETION, invocationId, result }))
        }
      })
    })
    return (number) => { void app.sockets.broadcast(record({ type: INVOCATION, target: 'number', arguments: [number] }), { tag: 'hub' }) }
  },
  byItself: (url, WebSocket) => new HubConnectionBuilder()
    // Its types leave the class out.
    .withUrl(url, { transport: HttpTransportType.WebSockets, skipNegotiation: true, WebSocket } as IHttpConnectionOptions)
    .withAutomaticReconnect()
    .configureLogging(LogLevel.None)
    .build(),
  use (client) {
    const received: number[] = []
    let losses = 0
    client.on('number', (number: number) => { received.push(number) })
    client.onreconnecting(() => { losses++ })
    client.onclose(() => { losses++ })
    const started = client.start()
    return {
      works: async () => {
        await started
        if (client.state !== HubConnectionState.Connected) await first<unknown>((resolve) => { client.onreconnected(resolve) })
        const text = question()
        assert.equal(await client.invoke('echo', text), text)
      },
      received,
      losses: () => losses,
      stop: () => client.stop()
    }
  }
}
