/**
 * Attacks on the readers of the log: lines and terminal sequences in headers, paths, subprotocols and close reasons, secrets
 * in query strings, and noise. Each ends with the count of what is left beside the healthy client.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { handshake, maskedFrame, Opcode, rawConnect, rawTcp, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'
import { FORGERY, ground } from './ground.ts'

/** ESC, CSI of one byte, DEL, NEL, tab, and what looks like a line of ours. */
const EVIL = '\u001b[31m\u009b31m\u007f\u0085\t{"level":50}'
/** The same as far as a header may carry it. */
const HEADER = '\u009b31m\u0085\t{"level":50}\u00ff'
const REASON = 'x\n{"level":60,"msg":"owned"}\u001b[2J\u202e\u2028\u009b'

it('what clients write into Origin cannot forge lines, and is told a bounded number of times at a bounded length', async (t) => {
  const attack = await ground(t, {}, { maxLines: 101 })
  for (let i = 0; i < 300; i++) await ask(attack.app, handshake('/echo', { Origin: `http://evil.example/${i}${HEADER}${'x'.repeat(10_000)}` }))
  assert.ok(attack.lines.length > 0)
  for (const line of attack.lines) assert.ok(JSON.stringify(line).length < 1_000, 'a line is long')
  await attack.restored()
})

it('what clients write into paths and addresses cannot forge lines, and secrets in the query stay out', async (t) => {
  const attack = await ground(t, { limits: { perAddress: { max: 1 }, total: { max: 2 } }, allowedOrigins: 'same-origin' }, { fastify: { trustProxy: true }, healthy: { headers: { 'X-Forwarded-For': '10.9.9.9' } } })
  for (let i = 0; i < 40; i++) {
    await ask(attack.app, handshake(`/echo/${HEADER.replaceAll('\t', '')}?token=secret`, { Origin: `http://evil.example${HEADER}` }))
    await ask(attack.app, handshake('/echo?token=secret', { 'X-Forwarded-For': `10.9.9.9${i % 2 === 0 ? HEADER : ''}` }))
    await ask(attack.app, handshake(`/${'long'.repeat(3_000)}?token=secret`, { 'X-Forwarded-For': '10.9.9.9' }))
    await ask(attack.app, `GET /echo?token=secret HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: x${i}\r\n\r\n`)
  }
  for (const line of attack.lines) {
    const text = JSON.stringify(line)
    assert.doesNotMatch(text, /secret/)
    assert.ok(text.length < 2_000, `a line of ${text.length} characters: ${text.slice(0, 200)}`)
  }
  await attack.restored()
})

it('subprotocols cannot forge lines, and are refused where they are no tokens', async (t) => {
  const attack = await ground(t, {}, { level: 'debug', maxLines: 2_000 })
  const plain = attack.lines.length
  for (const offer of [EVIL, HEADER, 'a, a', '"', 'bearer.secret-token', 'x'.repeat(8_000), ',', 'chat\u0000']) {
    await ask(attack.app, handshake('/echo', { 'Sec-WebSocket-Protocol': offer }))
  }
  const text = JSON.stringify(attack.lines.slice(plain))
  assert.doesNotMatch(text, /secret-token/)
  await attack.restored()
})

it('close reasons cannot forge lines, in the log or in the history', async (t) => {
  const attack = await ground(t, {}, { level: 'debug', maxLines: 2_000 })
  for (let i = 0; i < 20; i++) {
    const client = await rawConnect(t, attack.app, '/echo')
    client.sendClose(4000 + i, i % 2 === 0 ? REASON : `${'💥'.repeat(29)}\n`)
    await client.closeFrame()
    client.destroy()
  }
  await until(() => attack.app.sockets.history.length === 20)
  for (const { reason } of attack.app.sockets.history) {
    assert.doesNotMatch(reason, FORGERY)
    assert.ok(reason.length < 300)
  }
  await attack.restored()
})

it('noise of every kind is a bounded number of lines', async (t) => {
  const attack = await ground(t, { limits: { perAddress: { max: 30 } }, allowedOrigins: ['https://ours.example'] }, {
    configure: (app) => { app.get('/metered', { websocket: true, config: { sockets: { messageRate: { max: 1, burst: 1 } } } }, (socket) => { socket.on('message', () => {}) }) }
  })
  const noise: Array<() => Promise<unknown>> = [
    async () => {
      const client = await rawConnect(t, attack.app, '/quiet')
      client.write(maskedFrame(3, 'x'))
      await client.closeFrame()
      client.destroy()
    },
    async () => {
      const client = await rawConnect(t, attack.app, '/metered')
      for (let i = 0; i < 3; i++) client.send(Opcode.Text, 'x')
      await client.closeFrame()
      client.destroy()
    },
    () => ask(attack.app, handshake('/echo', { Origin: 'http://evil.example' })),
    () => ask(attack.app, handshake('/')),
    () => ask(attack.app, handshake('/nowhere'))
  ]
  for (let i = 0; i < 400; i++) await noise[i % noise.length]!()
  await attack.restored()
})

it('an allowedOrigins function that trips over what clients write refuses them, and is told a bounded number of times', async (t) => {
  // `new URL('null')` throws, and `null` is what every sandboxed frame sends.
  const attack = await ground(t, { allowedOrigins: (origin) => new URL(origin).host === 'ours.example' })
  for (let i = 0; i < 200; i++) await ask(attack.app, handshake('/echo', { Origin: ['null', `x${i}`, 'http://', ''][i % 4]! }))
  assert.equal(attack.app.sockets.stats().opened, 1)
  assert.ok(attack.lines.length > 0)
  await attack.restored()
})

/** Sends a handshake, waits for an answer or an end, and goes. */
async function ask (app: TestApp, request: string): Promise<void> {
  const client = await rawTcp(undefined as never, app)
  client.write(Buffer.from(request, 'latin1'))
  await Promise.race([client.answer.catch(() => {}), client.ended])
  client.destroy()
}
