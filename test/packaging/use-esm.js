// A project of ES modules: a real server, a real client, and a shutdown that tells the client to come back.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import Fastify from 'fastify'
import sockets, { CloseCode } from 'fastify-websocket-lifecycle'
import { assertClean, connect, createClock } from 'fastify-websocket-lifecycle/testing'
import WebSocket from 'ws'

const app = Fastify()
await app.register(sockets)
app.get('/echo', { websocket: true }, (socket) => {
  socket.on('message', (message) => socket.send(message.toString()))
})
const address = await app.listen({ port: 0 })

const client = new WebSocket(`${address.replace('http', 'ws')}/echo`)
const closed = once(client, 'close')
await once(client, 'open')
client.send('hello')
const [reply] = await once(client, 'message')
assert.equal(reply.toString(), 'hello')
assert.equal(app.sockets.size, 1)

await app.close()
const [code] = await closed
assert.equal(code, 1012)
assert.equal(code, CloseCode.ServiceRestart)
assert.equal(app.sockets.size, 0)
console.log('ES modules: the client was told', code)

// What its users test with, in the same project.
const clock = createClock()
const tested = Fastify()
await tested.register(sockets, { clock, idleTimeout: 60_000 })
tested.get('/', { websocket: true }, () => {})
const idle = await connect(tested, '/')
await clock.tick(60_100)
assert.deepEqual(await idle.closed, { code: CloseCode.Timeout, reason: 'idle timeout' })
await tested.close()
await assertClean(tested)
console.log('ES modules: the testing entry moved the clock by hand')
