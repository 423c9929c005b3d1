/**
 * Ready-made ways to prepare the next connection of a move.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { graphqlTransportWs, helloAgain } from '../../lib/client/prepare.ts'
import { askToMove, ID, MOVED, openOne } from './move-rig.ts'

/** What a graphql-transport-ws client has begun on a socket. */
async function openGraphql (t: Parameters<typeof openOne>[0], options?: Parameters<typeof graphqlTransportWs>[0]) {
  const rig = await openOne(t, { prepare: graphqlTransportWs(options) })
  const { socket, made } = rig
  const say = (message: object) => { socket.send(JSON.stringify(message)) }
  const parse = (data: unknown) => JSON.parse(data as string) as { type: string, id?: string }
  say({ type: 'connection_init', payload: { token: 1 } })
  made[0]!.receive('{"type":"connection_ack"}')
  return {
    ...rig,
    say,
    subscribe: (id: string, query: string, more: object = {}) => { say({ id, type: 'subscribe', payload: { query, ...more } }) },
    /** Types and ids of what was sent over a connection. */
    sent: (over: number) => made[over]!.sent.filter((data) => data !== MOVED).map(parse).map(({ type, id = '' }) => `${type} ${id}`.trim()),
    /** Asks for a move and opens the next connection. */
    async begin () {
      askToMove(made.at(-1)!)
      await rig.clock.run(1)
      made.at(-1)!.open()
      await rig.clock.flush()
    },
    async answer (message: object) {
      made.at(-1)!.receive(JSON.stringify(message))
      await rig.clock.flush()
    }
  }
}

test('graphql-transport-ws: the next connection is acknowledged and has the running subscriptions before the move', async (t) => {
  const { clock, made, events, subscribe, sent, begin, answer, socket } = await openGraphql(t)
  subscribe('1', 'subscription { news }')
  subscribe('2', '{ me }')
  subscribe('3', 'mutation { pay }')
  await begin()
  assert.deepEqual(sent(1), ['connection_init'])
  assert.deepEqual(JSON.parse(made[1]!.sent[0] as string), { type: 'connection_init', payload: { token: 1 } })
  await answer({ type: 'ping' })
  await answer({ type: 'connection_ack' })
  assert.deepEqual(sent(1), ['connection_init', 'subscribe 1', 'ping'])
  await answer({ id: '1', type: 'next', payload: { data: 'new' } })
  assert.ok(!made[0]!.sent.includes(MOVED))
  await answer({ type: 'pong' })
  assert.ok(made[0]!.sent.includes(MOVED))
  made[0]!.receive('{"id":"3","type":"next"}')
  made[0]!.end(1012, 'moved')
  await clock.flush()
  assert.deepEqual(events.slice(1), [
    'message {"type":"connection_ack"}', 'message {"id":"3","type":"next"}', 'message {"type":"ping"}', 'message {"id":"1","type":"next","payload":{"data":"new"}}'
  ])
  socket.send('{"type":"pong"}')
  assert.deepEqual(sent(1).at(-1), 'pong')
})

test('graphql-transport-ws: subscriptions that run on the next connection end on the current one, and are the application\'s as before', async (t) => {
  const { clock, made, events, subscribe, sent, begin, answer } = await openGraphql(t)
  subscribe('1', 'subscription { news }')
  subscribe('2', '{ me }')
  await begin()
  await answer({ type: 'connection_ack' })
  await answer({ type: 'pong' })
  // The server has no work of the subscription any more; that of the query goes on.
  assert.deepEqual(sent(0), ['connection_init', 'subscribe 1', 'subscribe 2', 'complete 1'])
  assert.equal(made[0]!.sent.at(-1), MOVED)
  made[0]!.end(1012, 'moved')
  await clock.flush()
  await begin()
  await answer({ type: 'connection_ack' })
  assert.deepEqual(sent(2), ['connection_init', 'subscribe 1', 'ping'])
  assert.equal(events.some((event) => event.includes('complete')), false)
})

test('graphql-transport-ws: what begins or ends while the next connection is prepared does so there in the moment of the move', async (t) => {
  const { made, say, subscribe, sent, begin, answer } = await openGraphql(t)
  subscribe('kept', 'subscription { a }')
  subscribe('left', 'subscription { b }')
  subscribe('ended', 'subscription { c }')
  await begin()
  await answer({ type: 'connection_ack' })
  say({ id: 'left', type: 'complete' })
  made[0]!.receive('{"id":"ended","type":"complete"}')
  subscribe('late', 'subscription { d }')
  await answer({ type: 'pong' })
  assert.deepEqual(sent(1), [
    'connection_init', 'subscribe kept', 'subscribe left', 'subscribe ended', 'ping', 'complete left', 'complete ended', 'subscribe late'
  ])
  // The one that is late may have events there that the next connection does not have.
  assert.deepEqual(sent(0).slice(-3), ['complete left', 'subscribe late', 'complete kept'])
})

test('graphql-transport-ws: a subscription that ends on the old connection after the move ends on the next', async (t) => {
  const { clock, made, subscribe, sent, begin, answer } = await openGraphql(t)
  for (const id of ['1', '2', '3']) subscribe(id, 'subscription { a }')
  await begin()
  await answer({ type: 'connection_ack' })
  await answer({ type: 'pong' })
  made[0]!.receive('{"id":"1","type":"complete"}')
  made[0]!.receive('{"id":"2", "type" : "error","payload":[]}')
  made[0]!.receive('{"id":"3","type":"next","payload":{"type":"complete"}}')
  made[0]!.receive('{"id":"unknown","type":"complete"}')
  made[0]!.receive('no JSON "type":"complete"')
  made[0]!.receive(new ArrayBuffer(1))
  assert.deepEqual(sent(1).slice(-2), ['complete 1', 'complete 2'])
  made[0]!.end(1012, 'moved')
  await clock.flush()
  // A second move repeats what still runs.
  await begin()
  await answer({ type: 'connection_ack' })
  assert.deepEqual(sent(2), ['connection_init', 'subscribe 3', 'ping'])
})

test('graphql-transport-ws: the token of the next connection may be a new one', async (t) => {
  const { made, begin } = await openGraphql(t, { connectionParams: async () => ({ token: 2 }) })
  await begin()
  assert.deepEqual(JSON.parse(made[1]!.sent[0] as string), { type: 'connection_init', payload: { token: 2 } })
})

test('graphql-transport-ws: nothing is said before the application has begun', async (t) => {
  const { clock, made } = await openOne(t, { prepare: graphqlTransportWs() })
  askToMove(made[0]!)
  await clock.run(1)
  made[1]!.open()
  await clock.flush()
  assert.deepEqual([made[1]!.sent, made[1]!.readyState], [[], 3])
})

for (const [query, operationName, runs] of [
  ['subscription { a }', undefined, true],
  ['subscription News($id: ID = "x") @live(if: true) { a(id: $id) { b { c } } }', 'News', true],
  ['# a comment { \nfragment F on T { x } subscription News { ...F }', undefined, true],
  ['query A { x } subscription B { y }', 'A', false],
  ['query A { x } subscription B { y }', 'B', true],
  ['query A { x } subscription B { y }', null, true],
  ['{ subscription }', undefined, false],
  ['query subscription { x }', undefined, false],
  ['query Q($a: String = "}) subscription {") { x }', undefined, false],
  ['query Q($a: String = """ \\""" } subscription { """) { x }', undefined, false],
  ['query { x } # subscription', undefined, false],
  ['mutation { subscription(id: 1) { x } }', undefined, false],
  [undefined, undefined, false]
] as const) {
  test(`graphql-transport-ws: ${JSON.stringify(query)} (${operationName}) ${runs ? 'runs' : 'does not run'} on the next connection`, async (t) => {
    const { subscribe, sent, begin, answer } = await openGraphql(t)
    subscribe('1', query as string, { operationName })
    await begin()
    await answer({ type: 'connection_ack' })
    assert.deepEqual(sent(1), runs ? ['connection_init', 'subscribe 1', 'ping'] : ['connection_init', 'ping'])
  })
}

test('graphql-transport-ws: isSubscription decides about persisted operations', async (t) => {
  const { say, sent, begin, answer } = await openGraphql(t, { isSubscription: ({ extensions }) => extensions?.live === true })
  say({ id: '1', type: 'subscribe', payload: { extensions: { live: true } } })
  say({ id: '2', type: 'subscribe' })
  await begin()
  await answer({ type: 'connection_ack' })
  assert.deepEqual(sent(1), ['connection_init', 'subscribe 1', 'ping'])
})

test('hello again: the first message of the application is sent again', async (t) => {
  const { clock, made, socket, move } = await openOne(t, { prepare: helloAgain() })
  for (const data of ['login', 'other']) socket.send(data)
  await move(made[0]!)
  made[0]!.end(1012, 'moved')
  await clock.flush()
  await move(made[1]!)
  assert.deepEqual(made.map(({ sent }) => sent), [['login', 'other', MOVED], ['login', MOVED], ['login']])
})

test('hello again: of the messages with one key the last is sent, late ones in the moment of the move, and the answer is not delivered', async (t) => {
  const { clock, made, socket, events } = await openOne(t, {
    prepare: helloAgain({ hello: (data: string) => /^\w+(?=:)/.exec(data)?.[0], answer: (data) => data === 'welcome' })
  })
  for (const data of ['login:1', 'join:a', 'chat', 'login:2']) socket.send(data)
  askToMove(made[0]!, 0, ID)
  await clock.run(1)
  const next = made[1]!
  next.open()
  await clock.flush()
  assert.deepEqual(next.sent, ['login:2', 'join:a'])
  socket.send('login:3')
  next.receive('news')
  next.receive('welcome')
  await clock.flush()
  assert.deepEqual([next.sent, made[0]!.sent.at(-1)], [['login:2', 'join:a', 'login:3'], MOVED])
  made[0]!.end(1012, 'moved')
  await clock.flush()
  assert.deepEqual(events, ['open', 'message news'])
})

test('hello again: without a hello no answer is waited for', async (t) => {
  const { made, move } = await openOne(t, { prepare: helloAgain({ answer: () => true }) })
  await move(made[0]!)
})
