/**
 * examples/jwt.ts in use: each way to bring a token, its end, a new one, and logging out.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { startExample } from '../helpers/example.ts'
import { connectTo } from '../helpers/server.ts'

/** Starts the example; its tokens live for so many seconds. */
async function run (t: TestContext, tokenLifetime: number): Promise<{ http: string, ws: string, login (user: string): Promise<{ token: string, cookie: string }> }> {
  const [, port] = await startExample(t, 'jwt.ts', { PORT: '0', TOKEN_LIFETIME: `${tokenLifetime}s` }, /port (\d+)/)
  const host = `localhost:${port!}`
  return {
    http: `http://${host}`,
    ws: `ws://${host}`,
    async login (user) {
      const response = await fetch(`http://${host}/login/${user}`, { method: 'POST' })
      const { token } = await response.json() as { token: string }
      return { token, cookie: response.headers.get('set-cookie')!.split(';')[0]! }
    }
  }
}

const refused = (handshake: Promise<unknown>, status: number) => assert.rejects(handshake, { status })

test('header, cookie, subprotocol and first message each identify the user; a handshake without a token is refused', async (t) => {
  const { http, ws, login } = await run(t, 60)
  const { token, cookie } = await login('ann')
  const authorization = `Bearer ${token}`
  const byHeader = await connectTo(t, `${ws}/chat`, { headers: { authorization } })
  assert.equal(await byHeader.next(), 'hello ann')
  const byCookie = await connectTo(t, `${ws}/chat`, { headers: { cookie } })
  assert.equal(await byCookie.next(), 'hello ann')
  const bySubprotocol = await connectTo(t, `${ws}/browser`, { protocols: [`bearer.${token}`, 'chat'] })
  assert.equal(await bySubprotocol.next(), 'hello ann')
  assert.equal(bySubprotocol.socket.protocol, 'chat', 'the token is not sent back')
  const late = await connectTo(t, `${ws}/late`)
  late.send(JSON.stringify({ token }))
  assert.match(String(await late.next()), /^hello ann, until /)
  late.send('hi')
  assert.equal(await late.next(), 'ann: hi')

  await refused(connectTo(t, `${ws}/chat`), 401)
  await refused(connectTo(t, `${ws}/chat`, { headers: { authorization: 'Bearer forged' } }), 401)
  await refused(connectTo(t, `${ws}/browser`, { protocols: ['chat'] }), 401)
  await refused(connectTo(t, `${ws}/chat`, { headers: { cookie, origin: 'https://evil.example' } }), 403)
  const rude = await connectTo(t, `${ws}/late`)
  rude.send('hi')
  assert.deepEqual(await rude.closed, { code: 3000, reason: 'say who you are first' })

  const response = await fetch(`${http}/logout`, { method: 'POST', headers: { authorization } })
  assert.deepEqual(await response.json(), { closed: 4 })
  for (const client of [byHeader, byCookie, bySubprotocol, late]) assert.deepEqual(await client.closed, { code: 3003, reason: 'logged out' })
})

test('a connection ends with its token, unless a new one of the same user came in time', async (t) => {
  const { ws, login } = await run(t, 3)
  const { token } = await login('ann')
  const connect = () => connectTo(t, `${ws}/chat`, { headers: { authorization: `Bearer ${token}` } })
  const [ends, stays, turns] = await Promise.all([connect(), connect(), connect()])
  turns.send(JSON.stringify(await login('bob')))
  assert.deepEqual(await turns.closed, { code: 3000, reason: 'not a valid token' })
  await new Promise((resolve) => { setTimeout(resolve, 1_500) })
  stays.send(JSON.stringify({ token: (await login('ann')).token }))
  assert.deepEqual(await ends.closed, { code: 3000, reason: 'session expired' })
  assert.deepEqual([await stays.next(), /^hello ann, until/.test(String(await stays.next()))], ['hello ann', true])
  stays.send('still here')
  assert.equal(await stays.next(), 'ann: still here')
  assert.deepEqual(await stays.closed, { code: 3000, reason: 'session expired' })
})
