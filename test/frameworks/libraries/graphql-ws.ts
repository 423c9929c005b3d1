/**
 * graphql-ws, whose server is its own adapter for Fastify.
 */
import assert from 'node:assert/strict'
import { EventEmitter, on } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { buildSchema } from 'graphql'
import { createClient } from 'graphql-ws'
import type { Client } from 'graphql-ws'
import { makeHandler } from 'graphql-ws/use/@fastify/websocket'
import type { Extra } from 'graphql-ws/use/@fastify/websocket'
import { question } from './library.ts'
import type { Library } from './library.ts'

const schema = buildSchema('type Query { echo (text: String!): String } type Subscription { number: Int, echo (text: String!): String }')

interface Context { extra: Extra }

export const graphqlWs: Library<Client> = {
  name: 'graphql-ws',
  address: (host) => `ws://${host}/graphql`,
  serve (app: FastifyInstance) {
    const numbers = new EventEmitter().setMaxListeners(0)
    app.get('/graphql', { websocket: true }, makeHandler({
      schema,
      context: (context) => context,
      roots: {
        query: { echo: ({ text }: { text: string }) => text },
        subscription: {
          async * number (_args: unknown, { extra: { socket } }: Context) {
            const { signal } = app.sockets.of(socket)
            for await (const [number] of on(numbers, 'number', { signal })) yield { number: number as number }
          }
        }
      }
    }))
    return (number) => { numbers.emit('number', number) }
  },
  byItself: (url, webSocketImpl) => createClient({ url, webSocketImpl }),
  use (client) {
    const received: number[] = []
    let losses = 0
    client.on('closed', () => { losses++ })
    client.subscribe<{ number: number }>({ query: 'subscription { number }' }, {
      next: ({ data }) => { received.push(data!.number) },
      error: () => {},
      complete: () => {}
    })
    return {
      works: async () => {
        const text = question()
        const { value } = await client.iterate<{ echo: string }>({ query: 'query ($text: String!) { echo (text: $text) }', variables: { text } }).next()
        assert.equal(value?.data?.echo, text)
      },
      received,
      losses: () => losses,
      // Rejects with what the last attempt to connect ended with.
      stop: () => Promise.resolve(client.dispose()).catch(() => {})
    }
  }
}
