/**
 * y-websocket over a server that holds one document and speaks its protocol with y-protocols.
 */
import type { FastifyInstance } from 'fastify'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import type { WebSocket } from 'ws'
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync'
import { WebsocketProvider } from 'y-websocket'
import { Doc } from 'yjs'
import { question } from './library.ts'
import type { Library } from './library.ts'

/** The first number of a message about the document; the other kinds are left to the clients. */
const SYNC = 0

/** A message about the document. */
function message (write: (encoder: encoding.Encoder) => void): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, SYNC)
  write(encoder)
  return encoding.toUint8Array(encoder)
}

export const yWebSocket: Library<WebsocketProvider> = {
  name: 'y-websocket',
  address: (host) => `ws://${host}/y`,
  serve (app: FastifyInstance) {
    const doc = new Doc()
    const questions = doc.getMap('questions')
    questions.observe(({ keysChanged }) => { for (const text of keysChanged) doc.getMap('answers').set(text, true) })
    doc.on('update', (update: Uint8Array) => {
      void app.sockets.broadcast(Buffer.from(message((encoder) => { writeUpdate(encoder, update) })), 'all')
    })
    app.get('/y/room', { websocket: true }, (socket: WebSocket) => {
      socket.on('message', (data: Buffer) => {
        const decoder = decoding.createDecoder(new Uint8Array(data))
        if (decoding.readVarUint(decoder) !== SYNC) return
        const answer = message((encoder) => { readSyncMessage(decoder, encoder, doc, socket) })
        if (answer.length > 1) socket.send(answer)
      })
      socket.send(message((encoder) => { writeSyncStep1(encoder, doc) }))
    })
    return (number) => { doc.getArray('numbers').push([number]) }
  },
  byItself: (url, WebSocketPolyfill) => new WebsocketProvider(url, 'room', new Doc(), { WebSocketPolyfill, disableBc: true }),
  use (client) {
    const received: number[] = []
    let losses = 0
    client.on('status', ({ status }) => { if (status === 'disconnected') losses++ })
    client.doc.getArray<number>('numbers').observe(({ changes }) => {
      for (const { insert } of changes.delta) received.push(...(insert ?? []) as number[])
    })
    return {
      works: () => new Promise((resolve) => {
        const text = question()
        const answers = client.doc.getMap('answers')
        answers.observe(() => { if (answers.has(text)) resolve() })
        client.doc.getMap('questions').set(text, true)
      }),
      received,
      losses: () => losses,
      stop: () => {
        client.destroy()
        // Its awareness has a timer until then.
        client.doc.destroy()
      }
    }
  }
}
