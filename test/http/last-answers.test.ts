/**
 * `Connection: close` during a drain: on every last answer of an HTTP/1 connection, however its headers are written.
 */
import assert from 'node:assert/strict'
import { hasSubscribers } from 'node:diagnostics_channel'
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { Readable } from 'node:stream'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { FastifyReply } from 'fastify'
import { makeCertificate } from '../helpers/certificate.ts'
import { tcpEnded } from '../helpers/ends.ts'
import { gate } from '../helpers/gate.ts'
import { plain } from '../helpers/routes.ts'
import { portOf, rawTcp, start, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const REQUEST_START = 'http.server.request.start'

/** Every value of the header Connection in the answer to a request on a connection that its client keeps. */
async function connectionHeaders (t: TestContext, app: TestApp, headers: Record<string, string> = {}): Promise<string[]> {
  const module = 'setSecureContext' in app.server ? https : http
  const agent = new module.Agent({ keepAlive: true })
  t.after(() => { agent.destroy() })
  const request = module.get({ port: portOf(app), host: '127.0.0.1', path: '/http', agent, headers, rejectUnauthorized: false } as https.RequestOptions)
  const [{ rawHeaders }] = await once(request, 'response') as [http.IncomingMessage]
  return rawHeaders.filter((_value, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === 'connection')
}

const raw = (answer: (response: http.ServerResponse) => unknown) => (reply: FastifyReply) => {
  reply.hijack()
  answer(reply.raw)
}

const WAYS: Record<string, (reply: FastifyReply) => unknown> = {
  'a reply': (reply) => reply.send('yes'),
  'a reply with headers of an origin, as a proxy has': (reply) => reply.header('connection', 'keep-alive').header('keep-alive', 'timeout=5').send('yes'),
  'a stream': (reply) => reply.header('connection', 'keep-alive').send(Readable.from(['yes'])),
  'an error': () => { throw new Error('no') },
  'a raw response without headers': raw((response) => response.end('yes')),
  'a raw response with headers': raw((response) => response.writeHead(200, { 'Content-Type': 'text/event-stream', Connection: 'keep-alive' }).end('yes')),
  'a raw response with a reason and headers': raw((response) => response.writeHead(200, 'Fine', { Connection: 'keep-alive' }).end('yes')),
  'a raw response with a list of headers': raw((response) => response.writeHead(200, ['Content-Type', 'text/plain']).end('yes')),
  'a raw response with a list of headers that has one of an origin': raw((response) => response.writeHead(200, ['Content-Type', 'text/plain', 'Connection', 'keep-alive']).end('yes')),
  'a raw response with pairs of headers': raw((response) => response.writeHead(200, [['Connection', 'keep-alive'], ['Set-Cookie', ['a=1', 'b=2']]] as never).end('yes')),
  'a raw response with headers that were set': raw((response) => response.setHeader('Connection', 'keep-alive').end('yes'))
}

for (const [way, answer] of Object.entries(WAYS)) {
  test(`${way} says Connection: close in a drain, once`, async (t) => {
    const app = await start(t, {}, (app) => {
      plain(app)
      app.get('/http', (_request, reply) => answer(reply))
    })
    await app.sockets.drain()
    assert.deepEqual(await connectionHeaders(t, app), ['close'])
  })
}

for (const [server, fastify] of Object.entries({ TLS: { https: makeCertificate() }, 'an HTTP/2 server': { http2: true, https: { ...makeCertificate(), allowHTTP1: true } } })) {
  test(`an answer over HTTP/1.1 of ${server} says Connection: close in a drain`, async (t) => {
    const app = await start(t, {}, (app) => {
      plain(app)
      app.get('/http', async () => 'yes')
    }, { fastify })
    assert.deepEqual(await connectionHeaders(t, app), ['keep-alive'])
    await app.sockets.drain()
    assert.deepEqual(await connectionHeaders(t, app), ['close'])
  })
}

test('an answer of a \'checkContinue\' listener says Connection: close in a drain', async (t) => {
  const app = await start(t, {}, (app) => {
    plain(app)
    app.server.on('checkContinue', (_request, response: http.ServerResponse) => { response.end('no') })
  })
  await app.sockets.drain()
  assert.deepEqual(await connectionHeaders(t, app, { expect: '100-continue' }), ['close'])
})

test('headers written twice fail as without the plugin', async (t) => {
  const failed = gate()
  const app = await start(t, {}, (app) => {
    plain(app)
    app.get('/http', (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200)
      assert.throws(() => reply.raw.writeHead(200), { code: 'ERR_HTTP_HEADERS_SENT', message: /^Cannot write headers/ })
      failed.open()
      reply.raw.end()
    })
  })
  await app.sockets.drain()
  assert.deepEqual(await connectionHeaders(t, app), ['close'])
  await failed.wait()
})

/** Three pipelined requests that are under way when a drain begins, and the values of Connection in their answers so far. */
async function pipelined (t: TestContext) {
  const answers: Array<() => void> = []
  const app = await start(t, {}, (app) => {
    plain(app)
    app.get('/http', (_request, reply) => { answers.push(() => reply.send('yes')) })
  })
  const client = await rawTcp(t, app)
  client.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(3))
  await until(() => answers.length === 3)
  const said = async () => [(await client.answer).headers.get('connection'), ...[...client.body.matchAll(/^connection: (.+)\r$/gim)].map(([, value]) => value)]
  return { app, client, answers, said }
}

test('of pipelined answers under way when the drain began, the last says Connection: close', async (t) => {
  const { app, client, answers, said } = await pipelined(t)
  await app.sockets.drain()
  for (const [i, answer] of answers.entries()) {
    answer()
    while ((await said()).length <= i) await once(client.socket, 'data')
  }
  await tcpEnded(client)
  assert.deepEqual(await said(), ['keep-alive', 'keep-alive', 'close'])
})

test('those that are written before their turn all arrive, and the close of the app waits for them', async (t) => {
  const { app, client, answers, said } = await pipelined(t)
  const closing = app.close()
  await until(() => !app.server.listening)
  for (const answer of answers.reverse()) answer()
  await tcpEnded(client)
  assert.equal((await said()).length, 3)
  await closing
})

test('nothing listens to requests before a drain, and after the close', async (t) => {
  const app = await start(t, {}, plain)
  assert.equal(hasSubscribers(REQUEST_START), false)
  await app.sockets.drain()
  assert.equal(hasSubscribers(REQUEST_START), true)
  await app.close()
  assert.equal(hasSubscribers(REQUEST_START), false)
})
