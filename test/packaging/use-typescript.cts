// A TypeScript project that compiles to CommonJS. Compiled, never run.
import Fastify = require('fastify')
import sockets = require('fastify-websocket-lifecycle')
import testing = require('fastify-websocket-lifecycle/testing')

const app = Fastify()
app.register(sockets, { closeTimeout: 1_000 })
app.after(() => {
  const left: number = app.sockets.size
  app.log.info(left)
})

async function test (): Promise<void> {
  const clock: testing.TestClock = testing.createClock()
  app.register(sockets, { clock, heartbeat: { interval: 5_000 } })
  const client: testing.TestClient = await testing.connect(app, '/')
  await clock.tick(5_000)
  const { code }: testing.Closed = await client.close()
  app.log.info(code)
  await testing.assertClean(app)
}
void test()
