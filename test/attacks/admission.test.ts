/**
 * Attacks on who may have a connection: forged addresses, foreign pages, wars of eviction. Each ends with the count of
 * what is left beside the healthy client.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { connect, handshake, rawTcp, until } from '../helpers/server.ts'
import type { RawClient, TestApp } from '../helpers/server.ts'
import { ground } from './ground.ts'

it('a forged X-Forwarded-For does not get round perAddress where no proxy is trusted', async (t) => {
  const attack = await ground(t, { limits: { perAddress: { max: 5 } } })
  const { admitted, refused } = await storm(attack.app, 100, (i) => ({ 'X-Forwarded-For': `10.1.2.${i}`, Forwarded: `for=10.1.2.${i}`, 'X-Real-IP': `10.1.2.${i}` }))
  assert.equal(admitted.length, 4)
  assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([429]))
  await leave(admitted)
  await attack.restored()
})

it('what a client writes left of the trusted proxy does not get round perAddress', async (t) => {
  // The proxy appends the address it sees: the last one is true, whatever stands before it.
  const attack = await ground(t, { limits: { perAddress: { max: 5 } } }, { fastify: { trustProxy: '127.0.0.1' }, healthy: { headers: { 'X-Forwarded-For': '10.9.9.9' } } })
  const { admitted, refused } = await storm(attack.app, 100, (i) => ({ 'X-Forwarded-For': `10.1.2.${i}, 192.0.2.7` }))
  assert.equal(admitted.length, 5)
  assert.equal(refused.length, 95)
  for (const connection of attack.app.sockets.list()) assert.ok(['10.9.9.9', '192.0.2.7'].includes(connection.ip))
  await leave(admitted)
  await attack.restored()
})

it('addresses that are none cost no more than a key each, and none is left', async (t) => {
  const attack = await ground(t, { limits: { perAddress: { max: 2 } } }, { fastify: { trustProxy: true }, healthy: { headers: { 'X-Forwarded-For': '10.9.9.9' } } })
  const { admitted } = await storm(attack.app, 200, (i) => ({ 'X-Forwarded-For': ['unknown', '__proto__', 'constructor', '', '::ffff:10.0.0.1', `x${'y'.repeat(5_000)}${i}`, '1.2.3.4"; drop'][i % 7]! }))
  assert.ok(admitted.length > 0)
  await leave(admitted)
  await attack.restored()
})

it('with trustProxy: true the client names its own address, so perAddress does not limit a client that lies', async (t) => {
  const attack = await ground(t, { limits: { perAddress: { max: 1 } } }, { fastify: { trustProxy: true } })
  const { admitted } = await storm(attack.app, 50, (i) => ({ 'X-Forwarded-For': `10.1.2.${i}` }))
  assert.equal(admitted.length, 50, 'the docs say: trust proxies by their addresses')
  await leave(admitted)
  await attack.restored()
})

it('pages of other origins are refused, however the header is written', async (t) => {
  const attack = await ground(t, { allowedOrigins: 'same-origin' })
  const foreign = [
    'http://evil.example', 'https://localhost.evil.example', 'http://localhost:80.evil.example', 'http://evil.example/localhost', 'http://localhost@evil.example', 'null', '', 'localhost',
    'file://', 'http://localhost:81', 'chrome-extension://localhost', 'http://localhost, http://evil.example', ' http://evil.example', 'http://LOCALHOST.evil.example', 'http://localhost/', 'http://localhost\u00e9'
  ]
  const { admitted, refused } = await storm(attack.app, foreign.length * 5, (i) => ({ Origin: foreign[i % foreign.length]! }))
  assert.deepEqual(admitted.length, 0)
  assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([403]))
  const own = await storm(attack.app, 4, (i) => ({ Origin: ['http://localhost', 'https://localhost', 'http://LOCALHOST:80', 'wss://localhost'][i]! }))
  assert.equal(own.admitted.length, 4)
  await leave(own.admitted)
  await attack.restored()
})

it('X-Forwarded-Host does not make a foreign page one of ours where no proxy is trusted', async (t) => {
  const attack = await ground(t, { allowedOrigins: 'same-origin' })
  const { admitted } = await storm(attack.app, 20, () => ({ Origin: 'http://evil.example', 'X-Forwarded-Host': 'evil.example', Forwarded: 'host=evil.example' }))
  assert.equal(admitted.length, 0)
  await attack.restored()
})

it('two clients of one owner that evict each other are stopped, and disturb no other owner', async (t) => {
  const attack = await ground(t, { limits: { perOwner: { max: 1, policy: 'evict-oldest' } }, owner: (request) => request.headers['x-owner'] as string | undefined }, { healthy: { headers: { 'x-owner': 'peaceful' } } })
  let evicted = 0
  let refused = 0
  const fight = async () => {
    // Comes back at once, for ever: until it is turned away.
    for (;;) {
      const client = await connect(t, attack.app, '/quiet', { headers: { 'x-owner': 'split' } }).catch((error: { status?: number }) => {
        assert.equal(error.status, 429)
      })
      if (client === undefined) {
        refused++
        return
      }
      const { code } = await Promise.race([client.closed, calm])
      if (code === 0) {
        await client.close()
        return
      }
      assert.equal(code, 4001)
      evicted++
    }
  }
  let endWar!: (value: { code: number }) => void
  const calm = new Promise<{ code: number }>((resolve) => { endWar = resolve })
  const fighters = [fight(), fight()]
  await until(() => refused >= 1, 'the war to be stopped')
  await attack.echo()
  endWar({ code: 0 })
  await Promise.all(fighters)
  assert.ok(evicted <= 10, `${evicted} evictions in a minute`)
  await attack.restored()
})

it('a crowd of one owner that ignores its eviction never has more sockets than the ceiling', async (t) => {
  const attack = await ground(t, { limits: { perOwner: { max: 20, policy: 'evict-oldest' } }, owner: (request) => request.headers['x-owner'] as string | undefined })
  let most = 0
  attack.app.sockets.on('open', () => { most = Math.max(most, attack.app.sockets.count({ owner: 'crowd' })) })
  const { admitted, refused } = await storm(attack.app, 200, () => ({ 'X-Owner': 'crowd' }))
  assert.ok(most <= 22, `${most} sockets at once`)
  assert.ok(refused.length > 0)
  await until(() => attack.app.sockets.count({ owner: 'crowd' }) <= 20)
  await leave(admitted)
  await attack.restored()
})

/** Handshakes all at once; who was let in, and what the others were told. */
async function storm (app: TestApp, count: number, headers: (index: number) => Record<string, string>) {
  const admitted: RawClient[] = []
  const refused: Array<{ status: number }> = []
  await Promise.all(Array.from({ length: count }, async (_, i) => {
    // No test context: the raw client is not ended with the test, but by `leave`.
    const client = await rawTcp(undefined as never, app)
    client.write(Buffer.from(handshake('/quiet', headers(i)), 'latin1'))
    const { status } = await client.answer
    if (status === 101) {
      admitted.push(client)
      return
    }
    refused.push({ status })
    await client.ended
    client.destroy()
  }))
  return { admitted, refused }
}

async function leave (clients: RawClient[]): Promise<void> {
  for (const client of clients) client.reset()
}
