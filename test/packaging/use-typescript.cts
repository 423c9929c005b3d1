// A TypeScript project that compiles to CommonJS. Compiled, never run.
import Fastify = require('fastify')
import sockets = require('fastify-websocket-lifecycle')
import redis = require('fastify-websocket-lifecycle/redis')
import testing = require('fastify-websocket-lifecycle/testing')

const app = Fastify()
// use-typescript.ts has fields in ConnectionData, which this file may be compiled with.
const data = () => ({ userId: '', rooms: new Set<string>() })
const options: sockets.LifecycleOptions = { data, closeTimeout: 1_000 }
app.register(sockets, options)
const client: redis.RedisClient = { isCluster: false, options: {}, duplicate: () => ({}), evalsha: () => {} }
app.register(sockets, { data, fleet: redis.redisFleet({ redis: client, name: 'chat' }) })
// As TypeScript compiles `import sockets from` without esModuleInterop.
app.register(sockets.default, options)
// @ts-expect-error: misspelt
app.register(sockets, { data, hartbeat: false })
app.after(() => {
  const left: number = app.sockets.size
  const code: 1012 = sockets.CloseCode.ServiceRestart
  app.log.info({ left, code })
})

async function test (): Promise<void> {
  const clock: testing.TestClock = testing.createClock()
  app.register(sockets, { data, clock, heartbeat: { interval: 5_000 } })
  const client: testing.TestClient = await testing.connect(app, '/')
  await clock.tick(5_000)
  const { code }: testing.Closed = await client.close()
  app.log.info(code)
  await testing.assertClean(app)
}
void test()
