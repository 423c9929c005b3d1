/**
 * Limits over real sockets: what each policy does at each limit, what the client sees of it, and what is told of it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { LifecycleOptions } from '../../lib/index.ts'
import { gate } from '../helpers/gate.ts'
import { connect, logged, rawHandshake, until } from '../helpers/server.ts'
import { as, serve, settle, turnedAway } from './rig.ts'

type Name = 'total' | 'perOwner' | 'perAddress'

const STATUSES = { total: 503, perOwner: 429, perAddress: 429 } as const

const limited = (name: Name, policy: 'refuse' | 'evict-oldest' | 'evict-idlest', max = 2): LifecycleOptions =>
  ({ limits: { [name]: { max, policy } } })

for (const name of ['total', 'perOwner', 'perAddress'] as const) {
  test(`${name}, refuse over HTTP: status, Retry-After, TCP closed, event, log, count; room again when one has left`, async (t) => {
    const { app, told } = await serve(t, limited(name, 'refuse'))
    const [first] = [await as(t, app, 'ann'), await as(t, app, 'ann')]
    const raw = await rawHandshake(t, app, '/?token=secret', { 'x-user': 'ann' })
    const { status, headers } = await raw.answer
    assert.equal(status, STATUSES[name])
    assert.equal(headers.get('retry-after'), '1')
    assert.match(headers.get('connection') ?? 'close', /close/)
    await raw.ended
    assert.deepEqual(told.refused, [{ reason: name, path: '/', ip: '127.0.0.1' }])
    assert.deepEqual(app.sockets.stats().refused, { [name]: 1 })
    assert.equal(app.sockets.size, 2)
    const [line] = logged(app, /handshakes are refused/)
    assert.deepEqual([line?.level, line?.msg, line?.['path']], [40, `handshakes are refused: ${name}`, '/'])
    assert.doesNotMatch(JSON.stringify(app.logs.filter(({ level }) => level >= 40)), /secret|ann/)
    await first.close()
    await settle(app, 1)
    await as(t, app, 'ann')
    assert.equal((await turnedAway(as(t, app, 'ann'))).status, STATUSES[name])
  })

  test(`${name}, refuse by close frame: opened, told 1013 with a delay, counted as refused, never handed to a handler`, async (t) => {
    let handled = 0
    let asked = 0
    const { app, told } = await serve(t, { ...limited(name, 'refuse'), refusal: 'close', onOpen: () => { asked++ } }, {
      configure: (app) => { app.get('/count', { websocket: true }, () => { handled++ }) }
    })
    for (let i = 0; i < 2; i++) await as(t, app, 'ann', {}, '/count')
    const third = await as(t, app, 'ann', {}, '/count')
    assert.deepEqual(await third.closed, { code: 1013, reason: 'no room; retry=1000' })
    await settle(app, 2)
    assert.deepEqual([handled, asked], [2, 2])
    assert.deepEqual(told.refused.map(({ reason, path }) => ({ reason, path })), [{ reason: name, path: '/count' }])
    assert.deepEqual(app.sockets.stats().refused, { [name]: 1 })
    assert.deepEqual(told.closed.map(({ record: { cause, code, clean } }) => ({ cause, code, clean })), [{ cause: 'refused', code: 1013, clean: true }])
  })

  test(`${name}, evict-oldest: the oldest is told 4001, the new connection stays`, async (t) => {
    const { app, told } = await serve(t, limited(name, 'evict-oldest'))
    const [first, second] = [await as(t, app, 'ann'), await as(t, app, 'ann')]
    first.send('busy')
    await first.next()
    const third = await as(t, app, 'ann')
    assert.deepEqual(await first.closed, { code: 4001, reason: 'replaced' })
    await settle(app, 2)
    for (const client of [second, third]) {
      client.send('still here')
      assert.equal(await client.next(), 'still here')
    }
    assert.deepEqual(told.closed.map(({ record: { cause, code } }) => ({ cause, code })), [{ cause: 'replaced', code: 4001 }])
    assert.deepEqual(app.sockets.stats().closed, { replaced: 1 })
    assert.deepEqual(logged(app, /make room/).map(({ level, route }) => ({ level, route })), [{ level: 40, route: '/' }])
    assert.deepEqual(told.refused, [])
  })

  test(`${name}, evict-idlest: the connection that has been silent longest is evicted`, async (t) => {
    const { app } = await serve(t, limited(name, 'evict-idlest'))
    const [first, second] = [await as(t, app, 'ann'), await as(t, app, 'ann')]
    const [talker] = app.sockets.list()
    first.send('busy')
    await until(() => talker!.messagesReceived === 1, 'a message')
    await as(t, app, 'ann')
    assert.equal((await second.closed).code, 4001)
    assert.equal(first.socket.readyState, first.socket.OPEN)
  })
}

test('owners and addresses are counted apart; connections without an owner are in no owner\'s count', async (t) => {
  const { app } = await serve(t, { limits: { perOwner: { max: 1 }, perAddress: { max: 3 } } }, {
    fastify: { trustProxy: '127.0.0.1' }
  })
  const from = (ip: string) => ({ headers: { 'x-forwarded-for': ip } })
  await as(t, app, 'ann', from('10.0.0.1'))
  await as(t, app, 'bob', from('10.0.0.1'))
  assert.equal((await turnedAway(as(t, app, 'bob', from('10.0.0.2')))).status, 429)
  for (let i = 0; i < 2; i++) await connect(t, app, '/', from('10.0.0.2'))
  assert.deepEqual(app.sockets.list().map(({ ip, owner }) => `${owner ?? ''} ${ip}`), ['ann 10.0.0.1', 'bob 10.0.0.1', ' 10.0.0.2', ' 10.0.0.2'])
  await as(t, app, 'carol', from('10.0.0.1'))
  const { status, headers } = await turnedAway(as(t, app, 'dave', from('10.0.0.1')))
  assert.deepEqual([status, headers['retry-after']], [429, '1'])
  await as(t, app, 'dave', from('10.0.0.3'))
})

for (const [first, second, other] of [
  ['203.0.113.7:40001', '203.0.113.7:40002', '203.0.113.8:40001'],
  ['203.0.113.7', '::ffff:203.0.113.7', '::ffff:203.0.113.8'],
  ['[2001:db8::1]:99', '2001:db8::1', '2001:db8:0:1::1'],
  ['2001:DB8:0::1', '2001:db8::2', '[2001:db9::1]']
] as const) {
  test(`${first} and ${second} are one address, ${other} is another`, async (t) => {
    const { app } = await serve(t, { limits: { perAddress: { max: 1 } } }, { fastify: { trustProxy: '127.0.0.1' } })
    const from = (ip: string) => connect(t, app, '/', { headers: { 'x-forwarded-for': ip } })
    await from(first)
    assert.equal((await turnedAway(from(second))).status, 429)
    await from(other)
    assert.deepEqual(app.sockets.list().map(({ ip }) => ip), [first, other])
  })
}

test('a forged X-Forwarded-For buys nothing where no proxy is trusted', async (t) => {
  const { app } = await serve(t, { limits: { perAddress: { max: 1 } } })
  await as(t, app, 'ann', { headers: { 'x-forwarded-for': '10.0.0.1' } })
  const { status } = await turnedAway(as(t, app, 'ann', { headers: { 'x-forwarded-for': '10.0.0.2' } }))
  assert.equal(status, 429)
})

test('Retry-After is drain.reconnect.minDelay in seconds, rounded up', async (t) => {
  const { app } = await serve(t, { ...limited('total', 'refuse', 1), drain: { reconnect: { minDelay: 4_200 } } })
  await as(t, app, 'ann')
  assert.equal((await turnedAway(as(t, app, 'ann'))).headers['retry-after'], '5')
})

test('a connection over the limit of its owner and over that for all evicts one, not two', async (t) => {
  const { app, told } = await serve(t, { limits: { total: { max: 2, policy: 'evict-oldest' }, perOwner: { max: 1, policy: 'evict-oldest' } } })
  const other = await as(t, app, 'bob')
  const first = await as(t, app, 'ann')
  await as(t, app, 'ann')
  assert.equal((await first.closed).code, 4001)
  await settle(app, 2)
  assert.equal(other.socket.readyState, other.socket.OPEN, 'whose place was not needed')
  assert.equal(told.closed.length, 1)
})

test('an evicted client that does not answer makes room all the same, and there is a ceiling to how many such there are', async (t) => {
  const { app } = await serve(t, { ...limited('total', 'evict-oldest', 1), closeTimeout: 60_000, drain: { timeout: 120_000 } })
  // Answers no close frame and no FIN.
  const deaf = await rawHandshake(t, app, '/', { 'x-user': 'deaf' })
  assert.equal((await deaf.answer).status, 101)
  const second = await as(t, app, 'ann')
  assert.deepEqual(await deaf.closeFrame(), { code: 4001, reason: 'replaced' })
  assert.deepEqual(app.sockets.list().map(({ state }) => state), ['closing', 'open'])
  // Two raw sockets for one place is all there may be.
  const { status, headers } = await turnedAway(as(t, app, 'bob'))
  assert.deepEqual([status, headers['retry-after']], [503, '1'])
  deaf.destroy()
  await settle(app, 1)
  await as(t, app, 'bob')
  assert.equal((await second.closed).code, 4001)
})

test('two clients of one owner do not evict each other for ever', async (t) => {
  const { app, told } = await serve(t, limited('perOwner', 'evict-oldest', 1))
  let evicted = 0
  let refusedAt = 0
  for (let i = 0; i < 30; i++) {
    try {
      const client = await as(t, app, 'ann')
      void client.closed.then(({ code }) => { if (code === 4001) evicted++ })
      await settle(app, 1)
    } catch {
      refusedAt ||= i
    }
  }
  assert.equal(refusedAt, 11, 'the first and ten that replaced one another')
  await until(() => evicted === 10)
  assert.equal(app.sockets.size, 1)
  assert.equal(told.refused.length, 19)
  await as(t, app, 'bob')
})

test('limits.handshakes.max: more under way than that are refused at once, with 503', async (t) => {
  const hook = gate()
  let waits = 0
  const { app, told } = await serve(t, { limits: { handshakes: { max: 2 } } }, {
    configure: (app) => { app.get('/slow', { websocket: true, onRequest: () => { waits++; return hook.wait() } }, () => {}) }
  })
  const waiting = [as(t, app, 'a', {}, '/slow'), as(t, app, 'b', {}, '/slow')]
  await until(() => waits === 2, 'two that wait')
  const { status, headers } = await turnedAway(as(t, app, 'c'))
  assert.deepEqual([status, headers['retry-after']], [503, '1'])
  assert.deepEqual(told.refused.map(({ reason }) => reason), ['handshakes'])
  hook.open()
  await Promise.all(waiting)
  await as(t, app, 'c')
})
