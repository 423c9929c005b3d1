// A server to look at: /echo answers each message, /jobs takes three seconds for one. Its metrics are on a port of their own, which
// stays until the drain has ended.
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import client from 'prom-client'
import sockets from '../lib/index.ts'
import metrics from '../lib/show/metrics/index.ts'

const host = process.env.HOST ?? '127.0.0.1'
const port = Number(process.env.PORT ?? 3000)

const app = Fastify({ logger: true })
await app.register(sockets, { signals: true, drain: { terminationGracePeriod: 30_000 } })
await app.register(metrics, { client })

app.get('/echo', { websocket: true }, (socket) => {
  socket.on('message', (message, isBinary) => { socket.send(message, { binary: isBinary }) })
})
app.get('/jobs', { websocket: true }, (socket) => {
  socket.on('message', async (job) => {
    await sleep(3_000)
    socket.send(`done: ${String(job)}`)
  })
})

const admin = Fastify()
admin.get('/metrics', async (_request, reply) => reply.type(client.register.contentType).send(await client.register.metrics()))
await admin.listen({ host, port: port === 0 ? 0 : 9464 })
app.addHook('onClose', async () => { await admin.close() })

await app.listen({ host, port })
