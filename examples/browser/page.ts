// The page at /: a counter that goes on across restarts of the server. See index.html for the client.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { FastifyInstance } from 'fastify'

const period = 100

export async function addPage (app: FastifyInstance): Promise<void> {
  const page = readFileSync(join(import.meta.dirname, 'index.html'))
  // From the sources, because a clone need not be built. In a project it is a file of the package, which is served as it is.
  const { outputFiles: [client] } = await build({
    entryPoints: [join(import.meta.dirname, '../../lib/client/index.ts')], bundle: true, format: 'esm', write: false
  })
  app.get('/', (_request, reply) => reply.type('text/html').send(page))
  app.get('/client.mjs', (_request, reply) => reply.type('text/javascript').send(client!.text))

  // Sends numbers to each client, from where the client says that it is: no state of this process survives it.
  app.get<{ Querystring: { after?: string } }>('/counter', { websocket: true }, (socket, { query }) => {
    let count = Number(query.after ?? 0)
    const timer = setInterval(() => socket.send(JSON.stringify({ count: ++count, server: process.pid })), period)
    app.sockets.of(socket).defer(() => clearInterval(timer))
    // The button of the page. The process that runs this one listens: see start.ts.
    socket.on('message', () => process.send?.('restart'))
  })
}
