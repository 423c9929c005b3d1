/**
 * Which pages may open a WebSocket, over real handshakes: what each value of `allowedOrigins` lets in, and what is said.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { FastifyRequest } from 'fastify'
import type { LifecycleOptions } from '../../lib/index.ts'
import { connect, logged, portOf, rawHandshake } from '../helpers/server.ts'
import type { StartOptions, TestApp } from '../helpers/server.ts'
import { listen, serve } from './rig.ts'

/** Status of the answer to a handshake from a page; `host` stands for what the address bar shows. */
async function statusFor (t: TestContext, app: TestApp, origin: string | undefined, headers: Record<string, string> = {}): Promise<number> {
  const raw = await rawHandshake(t, app, '/?secret', { ...(origin === undefined ? {} : { Origin: origin }), ...headers })
  const { status } = await raw.answer
  if (status === 101) raw.destroy()
  else await raw.ended
  return status
}

async function statuses (t: TestContext, allowedOrigins: LifecycleOptions['allowedOrigins'], asked: Array<[origin: string | undefined, headers?: Record<string, string>]>, more: StartOptions = {}): Promise<{ app: TestApp, got: number[] }> {
  const { app } = await serve(t, { allowedOrigins }, more)
  const got: number[] = []
  for (const [origin, headers] of asked) got.push(await statusFor(t, app, origin, headers))
  return { app, got }
}

const foreignLines = (app: TestApp) => logged(app, /page of another origin/)

test('by default a foreign origin is let in and told once, the own one and clients without the header are not, and a line at start says how to refuse', async (t) => {
  const { app } = await serve(t)
  const own = { headers: { origin: `http://127.0.0.1:${portOf(app)}` } }
  for (let i = 0; i < 3; i++) {
    await connect(t, app, '/', { headers: { origin: 'https://evil.example' } })
    await connect(t, app, '/', own)
    await connect(t, app, '/')
  }
  assert.deepEqual(foreignLines(app).map(({ level, origin }) => ({ level, origin })), [{ level: 40, origin: 'https://evil.example' }])
  assert.equal(logged(app, /set allowedOrigins to 'same-origin' or a list/).length, 1)
  assert.deepEqual(app.sockets.stats().observed, {})
})

test('invented origins do not fill the log: a hundred lines at most', async (t) => {
  const { app } = await serve(t)
  for (let i = 0; i < 150; i++) await statusFor(t, app, `https://${i}.example`)
  assert.equal(foreignLines(app).length, 100)
})

test('what an origin says cannot forge a line of the log', async (t) => {
  const { app } = await serve(t)
  await statusFor(t, app, 'https://evil.example\\u001b[2J{"level":60,"msg":"forged"}')
  assert.equal(app.logs.filter(({ level }) => level === 60).length, 0)
  await statusFor(t, app, `https://${'x'.repeat(8_000)}.example`)
  assert.ok(foreignLines(app).every((line) => JSON.stringify(line).length < 1_000), 'and none is longer than it needs to be')
})

test("'same-origin': host and port must be the same, the scheme may differ, a default port may be left out", async (t) => {
  const host = { Host: 'App.example' }
  const { got, app } = await statuses(t, 'same-origin', [
    ['https://app.example', host], ['http://app.example', host], ['https://APP.EXAMPLE', host], ['https://app.example:443', host], ['http://app.example:80', host],
    ['https://app.example', { Host: 'app.example:443' }], ['http://localhost:3000', { Host: 'localhost:3000' }], ['http://[::1]:3000', { Host: '[::1]:3000' }],
    [undefined, host]
  ])
  assert.deepEqual(got, Array(9).fill(101))
  const refused: Array<[string, Record<string, string>]> = [
    ['https://evil.example', host], ['https://app.example.evil.example', host], ['https://evil.example/app.example', host], ['https://app.example:8443', host],
    ['http://localhost:3001', { Host: 'localhost:3000' }], ['null', host], ['', host], ['app.example', host], ['https://user@app.example', host], ['file://', host], ['chrome-extension://app.example', host]
  ]
  for (const [origin, headers] of refused) assert.equal(await statusFor(t, app, origin, headers), 403, origin)
})

test("'same-origin' behind a proxy that is trusted goes by X-Forwarded-Host, and without trust by Host", async (t) => {
  const asked: Array<[string, Record<string, string>]> = [
    ['https://app.example', { Host: 'backend:3000', 'X-Forwarded-Host': 'app.example', 'X-Forwarded-Proto': 'https' }],
    ['https://evil.example', { Host: 'app.example', 'X-Forwarded-Host': 'evil.example' }]
  ]
  assert.deepEqual((await statuses(t, 'same-origin', asked, { fastify: { trustProxy: '127.0.0.1' } })).got, [101, 101])
  assert.deepEqual((await statuses(t, 'same-origin', asked)).got, [403, 403])
})

test('a list: exactly these, in any case, null only where it is listed', async (t) => {
  const { got } = await statuses(t, ['https://App.example', 'http://localhost:3000'],
    [['https://app.example'], ['HTTPS://APP.EXAMPLE'], ['http://localhost:3000'], ['http://app.example'], ['https://app.example:8443'], ['https://app.example.evil'], ['null'], [undefined]])
  assert.deepEqual(got, [101, 101, 101, 403, 403, 403, 403, 101])
  assert.deepEqual((await statuses(t, ['null'], [['null'], ['https://app.example']])).got, [101, 403])
  assert.deepEqual((await statuses(t, [], [['https://app.example'], [undefined]])).got, [403, 101])
})

test('a list can name the pages of apps and extensions, which have schemes of their own', async (t) => {
  const { got } = await statuses(t, ['file://', 'chrome-extension://abc', 'capacitor://localhost'], [
    ['file://'], ['chrome-extension://abc'], ['capacitor://localhost'], ['chrome-extension://abd'], ['capacitor://'], ['null'], ['https://localhost']
  ])
  assert.deepEqual(got, [101, 101, 101, 403, 403, 403, 403])
})

test('an entry of a list with a default port, or a name outside ASCII, is the origin that browsers send', async (t) => {
  const { got } = await statuses(t, ['https://example.com:443', 'https://bücher.example'], [['https://example.com'], ['https://xn--bcher-kva.example'], ['http://example.com']])
  assert.deepEqual(got, [101, 101, 403])
})

test('a function is asked with the origin and the request; only true lets in', async (t) => {
  const asked: string[] = []
  const { got } = await statuses(t, (origin, request: FastifyRequest) => {
    asked.push(`${origin} ${request.url}`)
    return origin === 'https://app.example'
  }, [['https://app.example'], ['https://evil.example'], [undefined]])
  assert.deepEqual(got, [101, 403, 101])
  assert.deepEqual(asked, ['https://app.example /?secret', 'https://evil.example /?secret'])
})

test('a function that throws, or answers anything but true, refuses the handshake and breaks nothing', async (t) => {
  const { got, app } = await statuses(t, () => { throw new Error('no database') }, [['https://app.example'], [undefined]])
  assert.deepEqual(got, [403, 101])
  assert.match(JSON.stringify(logged(app, /allowedOrigins failed/)[0]), /no database/)
  for (const answer of [1, 'yes', {}, undefined, Promise.resolve(true), () => Promise.reject(new Error('late'))]) {
    const { got } = await statuses(t, (() => typeof answer === 'function' ? answer() : answer) as never, [['https://app.example']])
    assert.deepEqual(got, [403], String(answer))
  }
  // A rejection that is not handled would have ended the process by now.
  await new Promise((resolve) => { setTimeout(resolve, 20) })
})

test('false: every origin is let in, without a warning', async (t) => {
  const { app, got } = await statuses(t, false, [['https://evil.example'], ['null'], [undefined]])
  assert.deepEqual(got, [101, 101, 101])
  assert.equal(foreignLines(app).length + logged(app, /allowedOrigins/).length, 0)
})

test('a refused origin is told and counted, without Retry-After, before any hook of the route, and over HTTP also with refusal: close', async (t) => {
  let hooks = 0
  const { app, told } = await serve(t, { allowedOrigins: 'same-origin', refusal: 'close' }, {
    configure: (app) => { app.get('/room', { websocket: true, onRequest: async () => { hooks++ } }, () => {}) }
  })
  const raw = await rawHandshake(t, app, '/room?secret', { Origin: 'https://evil.example' })
  const { status, headers } = await raw.answer
  assert.deepEqual([status, headers.get('retry-after'), hooks], [403, undefined, 0])
  await raw.ended
  assert.deepEqual(told.refused, [{ reason: 'origin', path: '/room', ip: '127.0.0.1' }])
  assert.deepEqual(app.sockets.stats().refused, { origin: 1 })
  assert.equal(logged(app, /handshakes are refused: origin/).length, 1)
})

test('plain HTTP requests are none of its business', async (t) => {
  const { app } = await serve(t, { allowedOrigins: 'same-origin' }, { configure: (app) => { app.get('/page', () => 'hello') } })
  const told = listen(app)
  const response = await app.inject({ url: '/page', headers: { origin: 'https://evil.example' } })
  assert.equal(response.statusCode, 200)
  assert.deepEqual(told.refused, [])
})
