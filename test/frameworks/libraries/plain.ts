/**
 * Libraries without a protocol of their own: what is sent is what the server gets.
 */
import type { FastifyInstance } from 'fastify'
import PartySocket from 'partysocket/ws'
import reconnecting from 'reconnecting-websocket'
import { question } from './library.ts'
import type { Library, Session } from './library.ts'

// Its types promise a property `default`; what Node imports is the class.
const ReconnectingWebSocket = reconnecting as unknown as typeof reconnecting.default
type Reconnecting = InstanceType<typeof ReconnectingWebSocket>

/** Answers every message with itself. */
function serve (app: FastifyInstance) {
  app.get('/plain', { websocket: true }, (socket) => {
    socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
  })
  return (number: number) => { void app.sockets.broadcast(`number ${number}`, 'all') }
}

/** What the two have in common. */
type Plain = PartySocket | Reconnecting

function use (client: Plain): Session {
  const received: number[] = []
  let losses = 0
  const answers = new Map<string, () => void>()
  // Assigned, not added: the two libraries type their listeners differently.
  client.onmessage = ({ data }: { data: string }) => {
    if (data.startsWith('number ')) received.push(Number(data.slice('number '.length)))
    else answers.get(data)?.()
  }
  client.onclose = () => { losses++ }
  return {
    works: () => new Promise((resolve) => {
      const text = question()
      answers.set(text, resolve)
      client.send(text)
    }),
    received,
    losses: () => losses,
    stop: () => { client.close() }
  }
}

export const partysocket: Library<PartySocket> = {
  name: 'partysocket',
  address: (host) => `ws://${host}/plain`,
  serve,
  byItself: (url, WebSocket) => new PartySocket(url, [], { WebSocket }),
  use
}

export const reconnectingWebSocket: Library<Reconnecting> = {
  name: 'reconnecting-websocket',
  address: (host) => `ws://${host}/plain`,
  serve,
  byItself: (url, WebSocket) => new ReconnectingWebSocket(url, [], { WebSocket }),
  use
}
