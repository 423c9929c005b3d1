// A TypeScript project that compiles to CommonJS. Compiled, never run.
import Fastify = require('fastify')
import sockets = require('fastify-websocket-lifecycle')

const app = Fastify()
app.register(sockets, { closeTimeout: 1_000 })
app.after(() => {
  const left: number = app.sockets.size
  app.log.info(left)
})
