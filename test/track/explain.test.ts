/**
 * `app.sockets.explain()`: the stories of connections, of their records and of what they are when asked, on a fake clock.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { LifecycleOptions, Story, StoryQuery } from '../../lib/index.ts'
import { createJob } from '../helpers/job.ts'
import { MOVED, rig as createMoveRig } from '../helpers/mover.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const INVALID = { code: 'SOCKETS_ERR_INVALID_ARGUMENT' }

/** Events of a story with times since its handshake. */
function eventsOf ({ openedAt, events }: Story): object[] {
  return events.map(({ at, ...event }) => ({ after: at - openedAt, ...event }))
}

test('an open connection is explained by its state', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: false })
  const { connection } = open({ route: '/rooms/:id', requestId: 'req-7', owner: 'ann', ip: '192.0.2.1' })
  await clock.run(61_000)
  assert.deepEqual(tracker.explain({ id: connection.id }), [{
    id: connection.id,
    route: '/rooms/:id',
    requestId: 'req-7',
    openedAt: connection.openedAt,
    state: 'open',
    events: [{ at: connection.openedAt, what: 'opened' }],
    summary: 'open for 61 s'
  }])
})

test('a silent peer and unsent data are seen while the connection is open', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: { interval: 1_000, maxMissed: 10 }, backpressure: false })
  const { connection, socket } = open({ peer: 'silent' })
  await clock.run(4_000)
  socket.bytesPending(700)
  const [story] = tracker.explain({ id: connection.id })
  assert.match(story!.summary, /^open for 4 s: no answer to a ping for [23] s; 700 bytes waited for it to read$/)
  assert.deepEqual(story!.events.map(({ what }) => what), ['opened', 'ping unanswered', 'data unsent'])
})

test('a dead peer: the ping that it did not answer, and the close by the heartbeat', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: { interval: 1_000, maxMissed: 2 } })
  const { connection } = open({ peer: 'silent' })
  await clock.run(10_000)
  const [story] = tracker.explain({ id: connection.id })
  const [record] = tracker.history
  assert.ok(record!.unanswered >= 2_000 && record!.unanswered <= record!.age, `${record!.unanswered}`)
  assert.deepEqual(eventsOf(story!), [
    { after: 0, what: 'opened' },
    { after: record!.age - record!.unanswered, what: 'ping unanswered', duration: record!.unanswered },
    { after: record!.age, what: 'closing', cause: 'heartbeat', code: 1006, reason: '' },
    { after: record!.duration, what: 'closed', clean: false, receivedCode: null }
  ])
  assert.equal(story!.closedAt, connection.openedAt + record!.duration)
  assert.equal(story!.summary, `closed by the heartbeat after ${Math.round(record!.age / 1_000)} s: no answer to a ping for ${Math.round(record!.unanswered / 1_000)} s`)
})

test('a peer that has answered or sent something since has no unanswered ping', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: { interval: 1_000, maxMissed: 3 } })
  const answers = open({ peer: 'answers' })
  const speaks = open({ peer: 'silent' })
  await clock.run(2_600)
  speaks.socket.peerSends('hello')
  await clock.flush()
  for (const { connection } of [answers, speaks]) assert.equal(tracker.explain({ id: connection.id })[0]!.summary, 'open for 3 s')
})

test('a slow reader: the bytes that waited when it was closed', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: false, backpressure: { maxBufferedBytes: 1_000 } })
  const { connection, socket } = open({ peer: 'stuck' })
  socket.send('x'.repeat(5_000))
  await clock.run(10_000)
  const [story] = tracker.explain({ id: connection.id })
  assert.deepEqual(eventsOf(story!).slice(1, 3), [
    { after: 0, what: 'data unsent', bytes: 5_000 },
    { after: 0, what: 'closing', cause: 'slow', code: 4008, reason: 'reads too slowly' }
  ])
  assert.equal(story!.summary, 'closed because its client reads too slowly after 0 ms with 4008; 5000 bytes waited for it to read; its client did not answer')
})

test('a drain: told, worked on, closed; who has asked for it, and why, is in the events and not in the sentence', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: false, drain: { timeout: 8_000 } })
  const { connection } = open({ peer: 'silent' })
  const job = createJob()
  void connection.track(job.promise)
  await clock.run(10_000)
  void tracker.drain({ by: 'ann', why: 'new version' })
  await clock.run(2_000)
  assert.equal(tracker.explain({ id: connection.id })[0]!.summary, 'draining for 2 s, open for 12 s')
  job.done()
  await clock.run(100)
  const [story] = tracker.explain({ id: connection.id })
  assert.deepEqual([story!.state, eventsOf(story!).map((event) => 'what' in event && event.what)], ['closing', ['opened', 'draining', 'closing']])
  assert.match(story!.summary, /^closed by the drain after 12 s with 1012; its client has not answered yet$/)
  await clock.run(6_000)
  const [closed] = tracker.explain({ id: connection.id })
  const closing = closed!.events.find(({ what }) => what === 'closing')!
  assert.deepEqual({ ...closing, at: 0, reason: '' }, { at: 0, what: 'closing', cause: 'drain', code: 1012, reason: '', by: 'ann', why: 'new version' })
  assert.equal(closed!.summary, 'closed by the drain after 12 s with 1012; its client did not answer')
})

test('connections that a drain cuts off without a frame are told so', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: false })
  const { connection } = open()
  void tracker.drain({ why: 'now' })
  tracker.abortDrain()
  await clock.run(8_000)
  const [story] = tracker.explain({ id: connection.id })
  assert.equal(story!.summary, 'closed by the drain after 0 ms without a close frame')
  assert.deepEqual(story!.events.map((event) => 'why' in event && event.why), [false, false, 'now', false])
})

test('a disconnect: by whom, why, and the code that the client answered with', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: false })
  const { connection, socket } = open({ owner: 'bob', peer: 'silent' })
  await clock.run(3_000)
  assert.equal(tracker.disconnect({ id: connection.id }, { code: 4003, reason: 'spam', by: 'ann', why: 'ticket 17' }), 1)
  socket.peerCloses(1000)
  await clock.flush()
  const [story] = tracker.explain({ id: connection.id })
  assert.deepEqual(eventsOf(story!).slice(1), [
    { after: 3_000, what: 'closing', cause: 'disconnected', code: 4003, reason: 'spam', by: 'ann', why: 'ticket 17' },
    { after: 3_000, what: 'closed', clean: true, receivedCode: 1000 }
  ])
  assert.equal(story!.summary, 'closed by disconnect() after 3 s with 4003; its client answered with 1000')
})

test('a client that has moved: asked, moved, drained, closed', async () => {
  const { tracker, moves, clock, connect } = createMoveRig({ drain: { terminationGracePeriod: 30_000 } })
  const { connection, socket } = connect({ peer: 'answers' })
  await clock.run(1_000)
  assert.equal(moves.ask(connection, 0), true)
  await clock.run(1_000)
  assert.equal(moves.ask(connection, 100), true)
  socket.peerSends(MOVED)
  await clock.run(1_000)
  const [story] = tracker.explain({ id: connection.id })
  assert.deepEqual(eventsOf(story!).slice(1, 5).map((event) => Object.values(event).slice(0, 3)), [
    [1_000, 'asked to move'], [2_000, 'moved'], [2_000, 'draining'], [2_000, 'closing', 'moved']
  ])
  assert.equal(story!.summary, 'closed because its client has moved to a new connection after 2 s with 1012')
})

test('a client that was asked to move and did not', async () => {
  const { tracker, clock, connect } = createMoveRig()
  const { connection } = connect()
  const moved = connection.move()
  await clock.run(6_000)
  assert.equal(await moved, false)
  assert.deepEqual(eventsOf(tracker.explain({ id: connection.id })[0]!), [
    { after: 0, what: 'opened' }, { after: 0, what: 'asked to move' }, { after: 5_000, what: 'move failed' }
  ])
})

for (const [what, code, expected] of [
  ['by its client', 1001, 'closed by its client after 90 s with 1001'],
  ['by its client without a code', 1005, 'closed by its client after 90 s with 1005']
] as const) {
  test(`a connection that is closed ${what}`, async () => {
    const { tracker, clock, open } = createTracker({ heartbeat: false })
    const { connection, socket } = open()
    await clock.run(90_000)
    socket.peerCloses(code)
    await clock.flush()
    const [story] = tracker.explain({ id: connection.id })
    assert.equal(story!.summary, expected)
    assert.deepEqual(story!.events.at(-1), { at: story!.closedAt, what: 'closed', clean: true, receivedCode: code })
  })
}

for (const [duration, text] of [[999, '999 ms'], [1_000, '1 s'], [119_000, '119 s'], [120_000, '2 min'], [7_200_000, '2 h'], [172_800_000, '2 days']] as const) {
  test(`${duration} ms are ${text}`, async () => {
    const { tracker, clock, open } = createTracker({ heartbeat: false, backpressure: false })
    const { connection, socket } = open()
    clock.stall(duration)
    socket.rawGone()
    await clock.flush()
    assert.equal(tracker.explain({ id: connection.id })[0]!.summary, `lost without a close frame after ${text}`)
  })
}

/** A tracker with five connections, of which two are closed. */
async function some (options: LifecycleOptions = {}) {
  const rig = createTracker({ heartbeat: false, ...options })
  const pairs = ['ann', 'bob', 'ann', 'bob', 'ann'].map((owner, i) => rig.open({ owner, ip: `192.0.2.${i}`, requestId: `req-${i}` }))
  for (const i of [0, 3]) pairs[i]!.socket.rawGone()
  await rig.clock.flush()
  const indexOf = ({ id }: Story) => pairs.findIndex(({ connection }) => connection.id === id)
  return { ...rig, pairs, find: (query: StoryQuery) => rig.tracker.explain(query).map(indexOf) }
}

test('open and closed connections are found by owner, the newest first, where the history keeps owners', async () => {
  const { find } = await some({ history: { keep: ['owner'] } })
  assert.deepEqual([find({ owner: 'ann' }), find({ owner: 'bob' }), find({ owner: 'eve' })], [[4, 2, 0], [3, 1], []])
})

test('where the history keeps no owners only open ones are found by owner', async () => {
  const { find } = await some()
  assert.deepEqual([find({ owner: 'ann' }), find({ owner: 'bob' })], [[4, 2], [1]])
})

test('open and closed connections are found by request id and by id', async () => {
  const { find, pairs } = await some()
  assert.deepEqual([find({ requestId: 'req-0' }), find({ requestId: 'req-1' }), find({ requestId: 'req-9' })], [[0], [1], []])
  assert.deepEqual(pairs.map(({ connection: { id } }) => find({ id })), [[0], [1], [2], [3], [4]])
})

test('records and stories have the first 128 characters of a request id, and the whole id finds them', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: false })
  const requestId = `${'é'.repeat(200)} from the client`
  const pairs = [open({ requestId }), open({ requestId }), open({ requestId })]
  pairs[0]!.socket.rawGone()
  pairs[1]!.connection.defer(() => new Promise(() => {}))
  pairs[1]!.socket.rawGone()
  await clock.flush()
  assert.equal(pairs[0]!.connection.requestId, requestId)
  assert.equal(tracker.history[0]!.requestId, 'é'.repeat(128))
  const states = tracker.explain({ requestId }).map((story) => [story.state, story.requestId.length])
  assert.deepEqual(states, [['open', 128], ['closing', 128], ['closed', 128]])
  assert.equal(tracker.explain({ requestId: 'é'.repeat(128) }).length, 3)
  assert.equal(tracker.explain({ requestId: 'é'.repeat(127) }).length, 0)
})

test('the history holds nothing of texts of clients but what its records show', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: false, history: { size: 1_000 } })
  const used = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = used()
  for (let i = 0; i < 1_000; i++) {
    // As a parser makes it: one piece.
    open({ requestId: Buffer.alloc(12_000, 'é' + String(i), 'latin1').toString('latin1'), route: Buffer.alloc(12_000, '/a', 'latin1').toString('latin1') }).socket.rawGone()
    await clock.flush()
  }
  assert.equal(tracker.history.length, 1_000)
  assert.equal(tracker.history[0]!.route.length, 256)
  const grown = used() - before
  assert.ok(grown < 4_000_000, `${grown} bytes`)
})

test('of more than 100 connections the newest 100 are explained, whatever the order in which they got their owner or closed', async () => {
  const { tracker, clock, open } = createTracker({ heartbeat: false, history: { size: 200, keep: ['owner'] } })
  const pairs = Array.from({ length: 120 }, () => open({ requestId: 'req-1' }))
  for (const { connection } of pairs.toReversed()) connection.setOwner('ann')
  const ids = pairs.map(({ connection }) => connection.id).toReversed()
  const found = (query: StoryQuery) => tracker.explain(query).map(({ id }) => id)
  for (const query of [{ owner: 'ann' }, { requestId: 'req-1' }]) assert.deepEqual(found(query), ids.slice(0, 100))
  // Half of them close, the newest first, so that closed and open ones alternate.
  for (let i = 119; i > 0; i -= 2) pairs[i]!.socket.rawGone()
  await clock.flush()
  assert.equal(tracker.history.length, 60)
  for (const query of [{ owner: 'ann' }, { requestId: 'req-1' }]) assert.deepEqual(found(query), ids.slice(0, 100))
})

test('stories that are too old to be returned are not built', () => {
  const { tracker, open } = createTracker({ heartbeat: false })
  const pairs = Array.from({ length: 101 }, () => open({ owner: 'ann' }))
  let built = 0
  for (const { connection } of pairs) Object.defineProperty(connection, 'closeSoFar', { get () { built++; return null } })
  assert.equal(tracker.explain({ owner: 'ann' }).length, 100)
  assert.equal(built, 100)
})

test('what the history has forgotten is not found', async () => {
  const { find } = await some({ history: { size: 1, keep: ['owner'] } })
  assert.deepEqual(find({ owner: 'ann' }), [4, 2])
})

for (const keep of [[], ['owner'], ['ip'], ['owner', 'ip']] as const) {
  test(`stories and the history have of owner and address what is kept: ${keep.join(' and ') || 'nothing'}`, async () => {
    const { tracker, pairs } = await some({ history: { keep } })
    void pairs[4]!.connection.close()
    const expected = [...keep]
    const kept = (object: object) => Object.keys(object).filter((key) => key === 'owner' || key === 'ip')
    for (const { connection: { id } } of pairs) assert.deepEqual(kept(tracker.explain({ id })[0]!), expected)
    for (const record of tracker.history) assert.deepEqual(kept(record), expected)
  })
}

test('the record of the event and of `closed` has neither owner nor address, whatever is kept', async () => {
  const { tracker, clock, open } = createTracker({ history: { keep: ['owner', 'ip'] } })
  const records: object[] = []
  tracker.on('closed', (_connection, record) => { records.push(record) })
  const { connection, socket } = open({ owner: 'ann' })
  const { closed } = connection
  socket.rawGone()
  await clock.flush()
  records.push(await closed)
  assert.equal(records.length, 2)
  for (const record of records) assert.deepEqual(Object.keys(record).filter((key) => key === 'owner' || key === 'ip'), [])
  assert.equal(tracker.history[0]!.owner, 'ann')
})

for (const [what, query] of [
  ['nothing', undefined],
  ['null', null],
  ['a text', 'ann'],
  ['every connection', 'all'],
  ['an empty object', {}],
  ['an unknown key', { tag: 'vip' }],
  ['two keys', { id: 1, owner: 'ann' }],
  ['an id that is a text', { id: '1' }],
  ['an owner that is undefined', { owner: undefined }],
  ['an owner that is empty', { owner: '' }],
  ['a request id that is empty, as that of adopted servers', { requestId: '' }],
  ['a key of every object', { toString: 'x' }]
] as const) {
  test(`a query is refused: ${what}`, () => {
    const { tracker } = createTracker()
    assert.throws(() => tracker.explain(query as never), INVALID)
  })
}
