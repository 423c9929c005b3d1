/**
 * Refusals by the ten thousand, of every kind. Each ends with the count of what is left beside the healthy client.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { handshake } from '../helpers/server.ts'
import { ground, repeatInParts } from './ground.ts'
import { knock } from './raw.ts'

/** 1.5 MiB of compiled code, and less than 200 bytes for each of 8,000. */
const SLACK = 3 * 1024 * 1024

it('8,000 refusals at the limit for all leave zero sockets', async (t) => {
  const attack = await ground(t, { limits: { total: { max: 1 } } }, { slack: SLACK })
  await repeatInParts(t, attack, 8_000, 48, async () => { assert.match(await knock(attack.app, handshake('/echo')), /^HTTP\/1\.1 503 /) })
  // Refused before Fastify sees the requests: only the healthy client was opened.
  assert.equal(attack.app.sockets.stats().opened, 1)
  assert.deepEqual(attack.app.sockets.stats().refused, { total: 8_000 })
  await attack.restored()
})

it('4,000 refusals by a close frame leave zero sockets', async (t) => {
  const attack = await ground(t, { limits: { total: { max: 1 } }, refusal: 'close' }, { slack: SLACK })
  await repeatInParts(t, attack, 4_000, 48, async () => { assert.match(await knock(attack.app, handshake('/echo'), 'data'), /^HTTP\/1\.1 (101|503) /) })
  assert.deepEqual(attack.app.sockets.stats().refused, { total: 4_000 })
  await attack.restored()
})

it('4,000 refusals of every other kind leave zero sockets', async (t) => {
  const attack = await ground(t, {
    limits: { perAddress: { max: 1 }, perOwner: { max: 1 } },
    allowedOrigins: 'same-origin',
    owner: (request) => request.headers['x-owner'] as string | undefined
  }, {
    fastify: { trustProxy: '127.0.0.1' },
    healthy: { headers: { 'x-owner': 'me' } },
    slack: SLACK,
    configure: (app) => { app.get('/denied', { websocket: true, preHandler: async (_request, reply) => reply.code(401).send() }, () => {}) }
  })
  const from = (i: number) => ({ 'X-Forwarded-For': `10.0.${(i >> 8) & 255}.${i & 255}` })
  const kinds: Array<[RegExp, (i: number) => string]> = [
    [/ 429 /, () => handshake('/echo')],
    [/ 429 /, (i) => handshake('/echo', { 'X-Owner': 'me', ...from(i) })],
    [/ 403 /, (i) => handshake('/echo', { Origin: 'http://evil.example', ...from(i) })],
    [/ 404 /, (i) => handshake('/nowhere', from(i))],
    [/ 401 /, (i) => handshake('/denied', from(i))],
    [/ 400 /, (i) => handshake('/echo', { 'Sec-WebSocket-Key': 'short', ...from(i) })],
    [/ 4(00|26) /, (i) => handshake('/echo', { 'Sec-WebSocket-Version': '7', ...from(i) })],
    [/ 400 /, (i) => handshake('/echo', { 'Sec-WebSocket-Protocol': 'a, a', ...from(i) })]
  ]
  await repeatInParts(t, attack, 4_000, 48, async (i) => {
    const [wanted, make] = kinds[i % kinds.length]!
    assert.match((await knock(attack.app, make(i))).split('\r\n')[0]!, wanted)
  })
  assert.equal(attack.app.sockets.stats().opened, 1)
  await attack.restored()
})
