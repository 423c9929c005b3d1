/**
 * Attacks on handed-over states: ids that are guessed, replayed or stolen, states that are too large or hostile, and readers of the
 * log. Not one of each succeeds.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import type { TestContext } from 'node:test'
import { inspect } from 'node:util'
import type { LifecycleOptions } from '../../lib/index.ts'
import { sharedStore } from '../../lib/move/handover-store.ts'
import { emptyStore, endOf, offering } from '../helpers/handovers.ts'
import { connect, handshake, rawTcp } from '../helpers/server.ts'
import type { TestClient } from '../helpers/server.ts'
import { ground, repeat } from './ground.ts'
import type { GroundOptions } from './ground.ts'

const SECRET = 'the-state-is-secret'

/** A server on which each client of `/state/:room` is told what it was handed, and has each of its messages kept, whatever it is. */
async function stateGround (t: TestContext, options: LifecycleOptions = {}, more: GroundOptions = {}) {
  t.after(emptyStore)
  const attack = await ground(t, { owner: ({ headers }) => headers['x-user'] as string | undefined, ...options }, {
    ...more,
    configure: (app) => {
      app.get('/state/:room', { websocket: true }, (socket) => {
        const connection = app.sockets.of(socket)
        socket.send(connection.handed === undefined ? 'nothing' : JSON.stringify(connection.handed))
        socket.on('message', (message: Buffer) => {
          // The states wait for as long as a busy machine needs.
          if (message.toString() === 'leave') {
            void connection.close(1012, 'retry=3600000')
            return
          }
          connection.handover(JSON.parse(message.toString()))
          socket.send('kept')
        })
      })
      return more.configure?.(app)
    }
  })
  const { app } = attack
  const come = (id: string | undefined, user: string | undefined, path = '/state/1') =>
    connect(t, app, path, offering(id, { headers: user === undefined ? {} : { 'x-user': user } }))
  return {
    attack,
    app,
    come,
    /** What a client is handed that comes and leaves again. */
    async handed (id: string | undefined, user: string | undefined, path?: string): Promise<string> {
      const client = await come(id, user, path)
      const message = String(await client.next())
      await client.close()
      return message
    },
    /** A client whose message was kept, and that was told to come back. Returns its id. */
    async leave (user: string | undefined, state: string): Promise<string | undefined> {
      const client = await come(undefined, user)
      await client.next()
      client.send(state)
      client.send('leave')
      return (await endOf(client)).id
    },
    async over (): Promise<void> {
      emptyStore()
      await attack.restored()
    }
  }
}

it('ids cannot be guessed, and those that are off by a character are worth nothing', async (t) => {
  const { attack, handed, leave, over } = await stateGround(t)
  const ids = await Promise.all(Array.from({ length: 20 }, () => leave('ada', `"${SECRET}"`)))
  let taken = 0
  const near = (id: string, i: number) => `${id.slice(0, i)}${id[i] === 'A' ? 'B' : 'A'}${id.slice(i + 1)}`
  await repeat(attack, 600, 20, async (i) => {
    const guess = i % 2 === 0 ? randomBytes(16).toString('base64url') : near(ids[i % 20]!, i % 22)
    if (await handed(guess, 'ada') !== 'nothing') taken++
  })
  assert.deepEqual([taken, sharedStore().size], [0, 20])
  for (const id of ids) assert.equal(await handed(id, 'ada'), `"${SECRET}"`)
  await over()
})

it('an id is worth one state, however often and however concurrently it is offered', async (t) => {
  const { handed, leave, over } = await stateGround(t)
  for (let round = 0; round < 20; round++) {
    const id = await leave('ada', `"${SECRET}"`)
    const results = await Promise.all(Array.from({ length: 10 }, () => handed(id, 'ada')))
    assert.equal(results.filter((result) => result !== 'nothing').length, 1)
    assert.equal(await handed(id, 'ada'), 'nothing')
  }
  await over()
})

it('an id that was stolen is worth nothing to another owner, to none, or on another path', async (t) => {
  const { handed, leave, over } = await stateGround(t)
  const results: string[] = []
  for (const [user, path] of [['bob', '/state/1'], [undefined, '/state/1'], ['ADA', '/state/1'], ['ada', '/state/2'], ['ada', '/state/1/'], ['ada', '/state/%31']] as const) {
    const id = await leave('ada', `"${SECRET}"`)
    results.push(await handed(id, user, path).catch(() => 'refused'))
  }
  const anonymous = await leave(undefined, `"${SECRET}"`)
  results.push(await handed(anonymous, 'bob'))
  assert.deepEqual(results.filter((result) => result !== 'nothing' && result !== 'refused'), [])
  await over()
})

it('offers with many ids, or with what is no id, take one state at most', async (t) => {
  const { app, leave, over } = await stateGround(t)
  const ids = await Promise.all(Array.from({ length: 5 }, () => leave('ada', `"${SECRET}"`)))
  const ask = async (offer: string): Promise<void> => {
    const client = await rawTcp(t, app)
    client.write(handshake('/state/1', { 'X-User': 'ada', 'Sec-WebSocket-Protocol': offer }))
    await client.answer
    client.reset()
    await client.ended
  }
  for (const offer of [ids[0]!, `lifecycle.v1.${ids[0]}`, `lifecycle.v1, lifecycle.v1.${ids[0]}x`, `lifecycle.v1, lifecycle.v1.${ids[0]!.slice(1)}`, `lifecycle.v1, lifecycle.v1.${'A'.repeat(6_000)}`, `lifecycle.v2, lifecycle.v2.${ids[0]}`]) await ask(offer)
  assert.equal(sharedStore().size, 5)
  await ask(`lifecycle.v1, ${ids.map((id) => `lifecycle.v1.${id}`).join(', ')}`)
  assert.equal(sharedStore().size, 4)
  await over()
})

it('states that are too large or hostile are kept from the store and from prototypes', async (t) => {
  const { leave, handed, over } = await stateGround(t, { options: { maxPayload: 2 ** 24 } })
  const refused = [
    JSON.stringify('x'.repeat(4_095)),
    JSON.stringify('x'.repeat(2 ** 23)),
    JSON.stringify('€'.repeat(1_365)),
    `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
    `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`,
    '{"__proto__":{"polluted":true}}',
    '{"a":[{"__proto__":null}]}',
    '{"a":{"constructor":{"prototype":{"polluted":true}}}}',
    '{"\\u005f_proto__":{"polluted":true}}',
    JSON.stringify(Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`key${i}`, i])))
  ]
  for (const state of refused) assert.equal(await leave('ada', state), undefined, state.slice(0, 40))
  assert.equal(sharedStore().size, 0)
  for (const state of ['"\\ud83d"', '{"toJSON":1,"then":2,"constructor":3}', '{"":{"valueOf":null}}', '"\\u0000\\u2028"', `${'['.repeat(2_000)}${']'.repeat(2_000)}`]) {
    const arrived = await handed(await leave('ada', state), 'ada')
    assert.equal(arrived, JSON.stringify(JSON.parse(state)))
    assert.equal(Object.getPrototypeOf(Object.assign({}, JSON.parse(arrived))), Object.prototype)
  }
  assert.ok(!('polluted' in {}))
  await over()
})

it('neither ids nor states are logged, at any level, whatever of a request or a connection the application logs', async (t) => {
  const lines: string[] = []
  let inspected = 0
  const { app, come, leave, over } = await stateGround(t, {
    onOpen: (connection) => {
      connection.log.trace({ connection }, 'opened')
      if (connection.handed !== undefined && inspected++ < 2) connection.log.trace({ shown: inspect(connection, { depth: 8 }) }, 'inspected')
    }
  }, {
    configure: (app) => {
      app.addHook('onRequest', async ({ raw, log }) => { if (inspected < 2) log.trace({ shown: inspect(raw, { depth: 4 }) }, 'inspected') })
    },
    fastify: {
      logger: {
        level: 'trace',
        stream: { write: (line: string) => { lines.push(line) } },
        serializers: { req: ({ raw }: { raw: { headers: object, rawHeaders: string[] } }) => ({ headers: raw.headers, rawHeaders: raw.rawHeaders }) }
      }
    }
  })
  const ids: string[] = []
  for (let i = 0; i < 10; i++) {
    ids.push((await leave('ada', JSON.stringify({ SECRET, i })))!)
    await leave('ada', JSON.stringify({ [SECRET]: SECRET.repeat(1_000) }))
    await leave('ada', `{"__proto__":{"${SECRET}":1}}`)
  }
  const clients: TestClient[] = []
  for (const id of [...ids, ...ids]) clients.push(await come(id, 'ada'))
  assert.equal(app.sockets.list({ owner: 'ada' }).filter(({ handed }) => handed !== undefined).length, 10)
  const { mock } = t.mock.method(sharedStore(), 'take', (id: string) => { throw Object.assign(new Error(id), { command: { args: [id, SECRET] } }) })
  clients.push(await come(ids[0], 'ada'))
  mock.restore()
  await Promise.all(clients.map((client) => client.close()))
  const text = lines.join('')
  assert.equal(inspected, 10)
  assert.match(text, /rawHeaders/)
  assert.match(text, /store of handed-over states has failed/)
  assert.match(text, /SOCKETS_ERR_INVALID_HANDOVER/)
  for (const secret of [SECRET, ...ids]) assert.ok(!text.includes(secret), text.slice(text.indexOf(secret) - 300, text.indexOf(secret) + 50))
  await over()
})
