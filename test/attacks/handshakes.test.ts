/**
 * Attacks with handshakes: half-sent ones, connects and resets by the thousand, refusals that are ignored. Each ends
 * with the count of what is left beside the healthy client.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { handshake, rawTcp, until } from '../helpers/server.ts'
import { ground, repeatInParts } from './ground.ts'
import type { Ground } from './ground.ts'
import { dial, reset } from './raw.ts'

/** Handshakes that were refused so far, for whatever reason. */
function refusals ({ app }: Ground): number {
  return Object.values(app.sockets.stats().refused).reduce((sum, count) => sum + count, 0)
}

it('a flood of half-sent requests is cut off by the timeout of HTTP headers and costs other clients nothing', async (t) => {
  // Before 'upgrade' a handshake is Node's: it cuts off after 60 s, looking every 30 s, unless told otherwise.
  const attack = await ground(t, {}, { fastify: { http: { headersTimeout: 300, requestTimeout: 600, connectionsCheckingInterval: 100 } } })
  const whole = handshake('/echo')
  const clients = await Promise.all(Array.from({ length: 200 }, () => rawTcp(t, attack.app)))
  for (const [i, client] of clients.entries()) client.write(whole.slice(0, 1 + (i * 7) % (whole.length - 1)))
  await attack.echo()
  await Promise.all(clients.map(({ ended }) => ended))
  for (const client of clients) client.destroy()
  assert.equal(attack.app.sockets.stats().opened, 1)
  await attack.restored()
})

it('half-sent requests do not hold a closing server', async (t) => {
  const attack = await ground(t)
  const whole = handshake('/echo')
  const clients = await Promise.all(Array.from({ length: 50 }, () => rawTcp(t, attack.app)))
  for (const [i, client] of clients.entries()) client.write(whole.slice(0, 1 + (i * 7) % (whole.length - 1)))
  await attack.echo()
  void attack.app.close()
  await Promise.all(clients.map(({ ended }) => ended))
})

it('handshakes that hang in a hook are counted, bounded and ended, with what arrives meanwhile', async (t) => {
  const attack = await ground(t, { limits: { handshakes: { max: 50, timeout: 400 } } }, {
    configure: (app) => { app.get('/stuck', { websocket: true, onRequest: () => new Promise(() => {}) }, () => {}) }
  })
  const clients = await Promise.all(Array.from({ length: 150 }, async () => {
    const client = await rawTcp(t, attack.app)
    client.write(handshake('/stuck'))
    return client
  }))
  const trickle = setInterval(() => { for (const client of clients) if (!client.socket.destroyed) client.write('x') }, 20)
  t.after(() => { clearInterval(trickle) })
  await Promise.all(clients.map(({ ended }) => ended))
  clearInterval(trickle)
  for (const client of clients) client.destroy()
  assert.equal(refusals(attack), 150)
  await attack.restored()
})

it('5,000 connects and resets, at every stage of a handshake, leave nothing', async (t) => {
  const attack = await ground(t, { limits: { perAddress: { max: 500 }, handshakes: { max: 500 } }, heartbeat: false }, {
    configure: (app) => { app.get('/slow', { websocket: true, onRequest: () => new Promise((resolve) => { setImmediate(resolve) }) }, () => {}) }
  })
  await repeatInParts(t, attack, 5_000, 32, async (i) => {
    const socket = await dial(attack.app)
    const stage = i % 5
    if (stage === 1) socket.write(handshake('/echo').slice(0, 40))
    if (stage === 2) socket.write(handshake('/slow'))
    if (stage >= 3) {
      socket.write(handshake('/echo'))
      await new Promise<void>((resolve) => { socket.once('data', () => { resolve() }); socket.once('close', () => { resolve() }) })
    }
    if (stage === 4) socket.write(Buffer.from([0x81, 0xfe, 0x7f]))
    await reset(socket)
  })
  await attack.restored()
})

it('clients that are refused by a close frame and never answer it are bounded, and gone after closeTimeout', async (t) => {
  const attack = await ground(t, { limits: { total: { max: 1 } }, refusal: 'close' })
  let most = 0
  attack.app.sockets.on('open', () => { most = Math.max(most, attack.app.sockets.size) })
  const clients = await Promise.all(Array.from({ length: 400 }, async () => {
    const client = await rawTcp(t, attack.app)
    client.write(handshake('/echo'))
    // Where too many have been told so by a frame, the others are told over HTTP.
    if ((await client.answer).status === 101) assert.equal((await client.closeFrame()).code, 1013)
    else assert.equal((await client.answer).status, 503)
    return client
  }))
  await attack.echo()
  await Promise.all(clients.map(({ ended }) => ended))
  for (const client of clients) client.destroy()
  await until(() => attack.app.sockets.size === 1)
  assert.equal(refusals(attack), 400)
  assert.ok(most <= 1 + 256, `${most} connections at once`)
  await attack.restored()
})
