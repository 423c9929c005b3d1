/**
 * @trpc/client, whose server is tRPC's own adapter for Fastify.
 */
import assert from 'node:assert/strict'
import { EventEmitter, on } from 'node:events'
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client'
import type { TRPCWebSocketClient } from '@trpc/client'
import { initTRPC } from '@trpc/server'
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import type { FastifyTRPCPluginOptions } from '@trpc/server/adapters/fastify'
import type { FastifyInstance } from 'fastify'
import { question } from './library.ts'
import type { Library } from './library.ts'

const { procedure, router } = initTRPC.create()

const routesOver = (numbers: EventEmitter) => router({
  echo: procedure.input((value) => String(value)).query(({ input }) => input),
  number: procedure.subscription(async function * ({ signal }) {
    for await (const [number] of on(numbers, 'number', { signal })) yield number as number
  })
})
type Routes = ReturnType<typeof routesOver>

export const trpc: Library<TRPCWebSocketClient> = {
  name: '@trpc/client',
  address: (host) => `ws://${host}/trpc`,
  serve (app: FastifyInstance) {
    const numbers = new EventEmitter().setMaxListeners(0)
    void app.register(fastifyTRPCPlugin, {
      prefix: '/trpc',
      useWSS: true,
      trpcOptions: { router: routesOver(numbers) }
    } satisfies FastifyTRPCPluginOptions<Routes>)
    return (number) => { numbers.emit('number', number) }
  },
  byItself: (url, WebSocket) => createWSClient({ url, WebSocket }),
  use (client) {
    const received: number[] = []
    let losses = 0
    const calls = createTRPCClient<Routes>({ links: [wsLink({ client })] })
    calls.number.subscribe(undefined, { onData: (number) => { received.push(number) } })
    // Connecting with an error is what it says after a loss; without one, at its start.
    client.connectionState.subscribe({ next: ({ state, error }) => { if (state === 'connecting' && error !== null) losses++ } })
    return {
      works: async () => {
        const text = question()
        assert.equal(await calls.echo.query(text), text)
      },
      received,
      losses: () => losses,
      stop: () => client.close()
    }
  }
}
