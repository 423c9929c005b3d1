import assert from 'node:assert/strict'
import test from 'node:test'
import type { WebSocket, WebSocketServer } from 'ws'
import type { Connection } from '../../lib/connection/connection.ts'
import type { Filter } from '../../lib/track/filter.ts'
import { createJob } from '../helpers/job.ts'
import { createTracker } from '../helpers/tracker-rig.ts'
import type { TrackerRig } from '../helpers/tracker-rig.ts'

// ——— who is there

test('a connection is there from its opening to its last cleanup', async () => {
  const { tracker, open, clock } = createTracker()
  assert.equal(tracker.size, 0)
  const { connection, socket } = open()
  const job = createJob()
  connection.defer(() => job.promise)
  assert.equal(tracker.size, 1)
  socket.peerCloses(1000)
  await clock.flush()
  assert.equal(connection.state, 'closing')
  assert.equal(tracker.size, 1)
  job.done()
  await clock.flush()
  assert.equal(tracker.size, 0)
  assert.equal(tracker.leftovers, 0)
})

test('of() finds the connection of a socket', () => {
  const { tracker, open } = createTracker()
  const { connection, socket } = open()
  assert.equal(tracker.of(socket.ws), connection)
})

for (const [what, socket] of [['a strange socket', {}], ['null', null], ['undefined', undefined], ['a string', 'socket']] as const) {
  test(`of() throws for ${what}`, () => {
    const { tracker } = createTracker()
    assert.throws(() => tracker.of(socket as WebSocket), { code: 'SOCKETS_ERR_UNKNOWN_SOCKET' })
  })
}

test('of() throws for a socket of another tracker', () => {
  const { socket } = createTracker().open()
  assert.throws(() => createTracker().tracker.of(socket.ws), { code: 'SOCKETS_ERR_UNKNOWN_SOCKET' })
})

test('get() finds a connection by its id, as long as it is not closed', async () => {
  const { tracker, open, clock } = createTracker()
  const { connection, socket } = open()
  assert.equal(tracker.get(connection.id), connection)
  assert.equal(tracker.get(-1), undefined)
  socket.rawGone()
  await clock.flush()
  assert.equal(tracker.get(connection.id), undefined)
})

// ——— queries

/** Three owners, two tags, two routes; one of them is closing. */
function crowd ({ open }: TrackerRig): number {
  const first = open({ owner: 'ann', route: '/chat' })
  const second = open({ owner: 'ann', route: '/jobs' })
  const third = open({ owner: 'bob', route: '/chat' })
  const fourth = open({ route: '/jobs', peer: 'silent' })
  first.connection.tag('lobby')
  third.connection.tag('lobby', 'vip')
  second.connection.tag('vip')
  void fourth.connection.close()
  return first.connection.id
}

const QUERIES: Array<[filter: Filter, expected: number[]]> = [
  ['all', [0, 1, 2, 3]],
  [{ owner: 'ann' }, [0, 1]],
  [{ owner: 'nobody' }, []],
  [{ tag: 'lobby' }, [0, 2]],
  [{ tag: 'none' }, []],
  [{ route: '/jobs' }, [1, 3]],
  [{ state: 'closing' }, [3]],
  [{ state: 'open' }, [0, 1, 2]],
  [{ where: ({ owner }) => owner === undefined }, [3]],
  [{ owner: 'ann', tag: 'vip' }, [1]],
  [{ tag: 'lobby', route: '/chat', owner: 'bob' }, [2]],
  [{ owner: 'ann', state: 'closing' }, []],
  [{ route: '/chat', where: ({ tags }) => tags.has('vip') }, [2]]
]

for (const [filter, expected] of QUERIES) {
  test(`list() and count() know who is ${typeof filter === 'string' ? filter : Object.entries(filter).map(([key, value]) => `${key} ${typeof value === 'function' ? '…' : value}`).join(', ')}`, () => {
    const rig = createTracker()
    const first = crowd(rig)
    assert.deepEqual(rig.tracker.list(filter).map(({ id }) => id - first), expected)
    assert.equal(rig.tracker.count(filter), expected.length)
  })
}

test('without a filter list() and count() mean all: they change nothing', () => {
  const rig = createTracker()
  crowd(rig)
  assert.equal(rig.tracker.list().length, 4)
  assert.equal(rig.tracker.count(), 4)
})

test('a list is a snapshot', async () => {
  const { tracker, open, clock } = createTracker()
  const { socket } = open()
  const list = tracker.list()
  socket.rawGone()
  open()
  await clock.flush()
  assert.equal(list.length, 1)
  assert.equal(list[0]!.state, 'closed')
})

const WRONG_FILTERS: Array<[what: string, filter: unknown]> = [
  ['is empty', {}],
  ['is undefined', undefined],
  ['is null', null],
  ['is a string', 'everybody'],
  ['has an undefined key', { owner: undefined }],
  ['has an undefined key beside a good one', { tag: 'lobby', owner: undefined }],
  ['has an unknown key', { user: 'ann' }],
  ['has an owner that is no string', { owner: 42 }],
  ['has a state that is none', { state: 'opened' }],
  ['has a where that is no function', { where: true }]
]

for (const [what, filter] of WRONG_FILTERS) {
  test(`a filter that ${what} throws and disconnects no connection`, () => {
    const rig = createTracker()
    crowd(rig)
    assert.throws(() => rig.tracker.disconnect(filter as Filter), { code: 'SOCKETS_ERR_INVALID_FILTER' })
    if (filter !== undefined) {
      assert.throws(() => rig.tracker.list(filter as Filter), { code: 'SOCKETS_ERR_INVALID_FILTER' })
      assert.throws(() => rig.tracker.count(filter as Filter), { code: 'SOCKETS_ERR_INVALID_FILTER' })
    }
    assert.equal(rig.tracker.count({ state: 'open' }), 3)
  })
}

// ——— disconnect

test('disconnect() closes the connections that match with 3003 and returns how many', async () => {
  const rig = createTracker()
  crowd(rig)
  assert.equal(rig.tracker.disconnect({ owner: 'ann' }), 2)
  const closing = rig.tracker.list({ owner: 'ann' })
  assert.ok(closing.every(({ state }) => state === 'closing'))
  assert.equal(rig.tracker.count({ state: 'open' }), 1)
  await rig.clock.flush()
  assert.deepEqual(rig.tracker.history.map(({ cause, code, reason }) => [cause, code, reason]), [['disconnected', 3003, ''], ['disconnected', 3003, '']])
})

test('disconnect() takes a code and a reason, which is cut to 123 bytes', () => {
  const { tracker, open } = createTracker()
  const { socket } = open()
  tracker.disconnect('all', { code: 4321, reason: 'ä'.repeat(100) })
  assert.deepEqual(socket.closeFrame, { code: 4321, reason: 'ä'.repeat(61) })
})

test('disconnect() counts no connection twice', () => {
  const rig = createTracker()
  crowd(rig)
  assert.equal(rig.tracker.disconnect('all'), 3)
  assert.equal(rig.tracker.disconnect('all'), 0)
})

test('disconnect() with a code that must not be sent closes no connection', () => {
  const { tracker, open } = createTracker()
  const { connection } = open()
  for (const code of [1005, 1006, 1015, 999, 5000, '3003', null]) {
    assert.throws(() => tracker.disconnect('all', { code: code as number }), { code: 'SOCKETS_ERR_INVALID_CLOSE_CODE' })
    assert.throws(() => tracker.disconnect({ owner: 'nobody' }, { code: code as number }), { code: 'SOCKETS_ERR_INVALID_CLOSE_CODE' })
  }
  assert.equal(connection.state, 'open')
})

for (const [close, shown] of [[1008, '1008'], [null, 'null'], ['bye', '"bye"'], [() => {}, 'a function']] as const) {
  test(`disconnect() with ${shown} in place of { code, reason } closes no connection`, () => {
    const { tracker, open } = createTracker()
    const { connection } = open()
    assert.throws(() => tracker.disconnect('all', close as never), { code: 'SOCKETS_ERR_INVALID_ARGUMENT', message: `close must be an object such as { code: 3003 }, got ${shown}` })
    assert.equal(connection.state, 'open')
  })
}

test('disconnect() with a reason that is no string closes no connection', () => {
  const { tracker, open } = createTracker()
  const { connection } = open()
  for (const filter of ['all', { owner: 'unknown' }] as const) {
    assert.throws(() => tracker.disconnect(filter, { reason: 5 as never }), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  }
  assert.equal(connection.state, 'open')
})

// ——— opening

test('onOpen sees the connection before its handler does', () => {
  const seen: unknown[] = []
  const { open } = createTracker({ onOpen: (connection) => { seen.push(connection) } })
  const { connection } = open()
  assert.deepEqual(seen, [connection])
})

test('onOpen is not called for a connection that has failed, or that a listener has closed; every open has its closed', async () => {
  const seen: unknown[] = []
  const events: string[] = []
  const rig = createTracker({ onOpen: () => { seen.push('onOpen') } })
  const { tracker, clock } = rig
  for (const event of ['open', 'closing', 'closed'] as const) tracker.on(event, () => { events.push(event) })
  const closed = (connection: Connection) => { void connection.close(4000) }
  tracker.on('open', closed)
  rig.open()
  tracker.off('open', closed)
  await clock.run(100)
  assert.deepEqual(events.splice(0), ['open', 'closing', 'closed'])
  tracker.on('open', (connection) => { void connection.terminate() })
  rig.open()
  await clock.run(100)
  assert.deepEqual([seen, events, tracker.size], [[], ['open', 'closing', 'closed'], 0])
})

for (const [what, onOpen] of [
  ['throws', () => { throw new Error('no') }],
  ['rejects', async () => { throw new Error('no') }]
] as const) {
  test(`an onOpen that ${what} ends its connection with a fault`, async () => {
    const { tracker, open, clock, reports } = createTracker({ onOpen })
    const { connection, socket } = open()
    await clock.flush()
    assert.equal(socket.closeFrame!.code, 1011)
    assert.equal(connection.state, 'closed')
    assert.equal(reports.length, 1)
    assert.equal(reports[0]![1], connection)
    assert.equal(tracker.stats().faults, 1)
  })
}

test('errorCode changes what a fault is told with', () => {
  const { open } = createTracker({ errorCode: 4500, onOpen: () => { throw new Error('no') } })
  assert.equal(open().socket.closeFrame!.code, 4500)
})

test('the logger of a connection carries its id and the id of its request', () => {
  const { open, lines } = createTracker()
  const { connection } = open({ requestId: 'req-7' })
  connection.log.info('hello')
  assert.deepEqual(lines.at(-1)!.bindings, { connection: connection.id, reqId: 'req-7' })
})

test('the logger of an adopted connection has no id of a request', () => {
  const { open, lines } = createTracker()
  const { connection } = open({ requestId: '' })
  connection.log.info('hello')
  assert.deepEqual(lines.at(-1)!.bindings, { connection: connection.id })
})

test('a report that throws is logged and breaks nothing', async () => {
  const { tracker, open, clock, messages } = createTracker({ onOpen: () => { throw new Error('no') } }, 'debug', { report: () => { throw new Error('the errorHandler') } })
  open()
  await clock.flush()
  assert.deepEqual(messages('error'), ['errorHandler failed'])
  assert.equal(tracker.size, 0)
})

test('a report that rejects is logged and breaks nothing', async () => {
  const { open, clock, messages } = createTracker({ onOpen: () => { throw new Error('no') } }, 'debug', { report: async () => { throw new Error('the errorHandler') } })
  open()
  await clock.flush()
  assert.deepEqual(messages('error'), ['errorHandler failed'])
})

// ——— events

test('listeners hear an event until they are taken off, and on() and off() can be chained', () => {
  const { tracker, open } = createTracker()
  const seen: number[] = []
  const listener = ({ id }: { id: number }) => { seen.push(id) }
  assert.equal(tracker.on('open', listener), tracker)
  const { connection } = open()
  assert.equal(tracker.off('open', listener), tracker)
  open()
  assert.deepEqual(seen, [connection.id])
})

test('the life of a connection is told in order', async () => {
  const { tracker, open, clock } = createTracker()
  const heard: string[] = []
  for (const event of ['open', 'draining', 'closing', 'closed', 'drain', 'drained'] as const) tracker.on(event, () => { heard.push(event) })
  open()
  void tracker.drain()
  await clock.flush()
  assert.deepEqual(heard, ['open', 'drain', 'draining', 'closing', 'closed', 'drained'])
})

test('a listener that throws is logged, and the others hear the event', () => {
  const { tracker, open, lines } = createTracker()
  let heard = 0
  const failure = new Error('no')
  tracker.on('open', () => { throw failure })
  tracker.on('open', () => { heard++ })
  const { connection } = open()
  assert.equal(heard, 1)
  assert.equal(connection.state, 'open')
  assert.deepEqual(lines.filter(({ level }) => level === 'error'), [{ level: 'error', bindings: {}, fields: { err: failure }, message: 'listener of "open" failed' }])
})

test('a fault is an event too', async () => {
  const failure = new Error('no')
  const { tracker, open, clock } = createTracker({ onOpen: () => { throw failure } })
  const seen: unknown[][] = []
  tracker.on('error', (...args) => { seen.push(args) })
  const { connection } = open()
  await clock.flush()
  assert.deepEqual(seen, [[failure, connection]])
})

// ——— history and stats

test('the history holds the last records, oldest first', async () => {
  const { tracker, open, clock } = createTracker({ history: 3 })
  const ids: number[] = []
  for (let i = 0; i < 5; i++) {
    const { connection, socket } = open({ route: `/${i}` })
    ids.push(connection.id)
    socket.peerCloses(1000 + i % 2, 'bye')
    await clock.flush()
  }
  const { history } = tracker
  assert.deepEqual(history.map(({ id }) => id), ids.slice(2))
  assert.deepEqual(history.map(({ route, cause, code, reason, clean }) => [route, cause, code, reason, clean]), [
    ['/2', 'client', 1000, 'bye', true], ['/3', 'client', 1001, 'bye', true], ['/4', 'client', 1000, 'bye', true]
  ])
})

test('a history of 0 holds nothing', async () => {
  const { tracker, open, clock } = createTracker({ history: 0 })
  open().socket.rawGone()
  await clock.flush()
  assert.deepEqual(tracker.history, [])
})

test('the history is a copy', async () => {
  const { tracker, open, clock } = createTracker()
  open().socket.rawGone()
  await clock.flush()
  tracker.history.length = 0
  assert.equal(tracker.history.length, 1)
})

test('the history has neither owner nor address', async () => {
  const { tracker, open, clock } = createTracker()
  open({ owner: 'ann', ip: '192.0.2.1' }).socket.peerCloses(1000)
  await clock.flush()
  assert.doesNotMatch(JSON.stringify(tracker.history), /ann|192\.0\.2\.1/)
})

test('stats() counts what has happened', async () => {
  const { tracker, open, clock } = createTracker()
  const stats = () => {
    // test/track/statistics.test.ts and test/track/expected.test.ts are about the others.
    const { opened, closed, refused, faults, cleanups, connections, working, state, observed } = tracker.stats()
    return { opened, closed, refused, faults, cleanups, connections, working, state, observed }
  }
  assert.deepEqual(stats(), {
    opened: 0, closed: {}, refused: {}, faults: 0, cleanups: { finished: 0, failed: 0, abandoned: 0 }, connections: 0, working: 0, state: 'running', observed: {}
  })
  const first = open()
  const second = open()
  const third = open()
  const job = createJob()
  void third.connection.track(job.promise)
  first.connection.defer(() => {})
  first.socket.peerCloses(1000)
  second.socket.rawGone()
  for (const reason of ['draining', 'total', 'total'] as const) tracker.refused({ reason, path: '/', ip: '' })
  await clock.flush()
  assert.deepEqual(stats(), {
    opened: 3, closed: { client: 1, network: 1 }, refused: { draining: 1, total: 2 }, faults: 0, cleanups: { finished: 1, failed: 0, abandoned: 0 }, connections: 1, working: 1, state: 'running', observed: {}
  })
  job.done()
  await clock.flush()
  assert.equal(tracker.stats().working, 0)
})

test('stats() is a snapshot', async () => {
  const { tracker, open, clock } = createTracker()
  const stats = tracker.stats()
  stats.cleanups.finished = 99
  stats.closed.drain = stats.refused.total = stats.observed.total = stats.broadcasts.sent = 99
  open().socket.rawGone()
  await clock.flush()
  assert.deepEqual(stats.closed, { drain: 99 })
  assert.equal(tracker.stats().cleanups.finished, 0)
  const { closed, refused, observed, broadcasts } = tracker.stats()
  assert.deepEqual([closed, refused, observed, broadcasts.sent], [{ network: 1 }, {}, {}, 0])
})

test('a refusal is counted and told', () => {
  const { tracker } = createTracker()
  const seen: unknown[] = []
  tracker.on('refused', (refusal) => { seen.push(refusal) })
  tracker.refused({ reason: 'draining', path: '/chat', ip: '192.0.2.1' })
  assert.deepEqual(seen, [{ reason: 'draining', path: '/chat', ip: '192.0.2.1' }])
  assert.deepEqual(tracker.stats().refused, { draining: 1 })
})

// ——— leaving

test('the state goes from running over draining to drained, and admission ends with settling', async () => {
  const { tracker, open, clock, asked } = createTracker({ drain: { settleDelay: 500 } })
  open()
  assert.deepEqual([tracker.state, tracker.accepting], ['running', true])
  const drained = tracker.drain()
  assert.deepEqual([tracker.state, tracker.accepting], ['draining', true])
  await clock.run(500)
  assert.deepEqual([tracker.state, tracker.accepting], ['drained', false])
  assert.deepEqual(asked, [['refuseHandshakes']])
  assert.equal((await drained).trigger, 'drain')
})

test('drain() returns one promise for all callers, whatever started the drain', async () => {
  const { tracker, open, clock } = createTracker()
  open()
  const promise = tracker.startDrain('SIGTERM')
  assert.equal(tracker.drain(), promise)
  assert.equal(tracker.startDrain('close'), promise)
  await clock.flush()
  assert.equal(tracker.drain(), promise)
  assert.equal((await promise).trigger, 'SIGTERM')
  assert.equal(tracker.leftovers, 0)
})

test('drain() inside a cleanup is rejected, and starts nothing', async () => {
  const { tracker, open, clock } = createTracker()
  const { connection, socket } = open()
  let rejected: Promise<unknown> | undefined
  connection.defer(() => { rejected = tracker.drain() })
  socket.peerCloses(1000)
  await clock.flush()
  await assert.rejects(rejected!, { code: 'SOCKETS_ERR_CLEANUP_DEADLOCK' })
  assert.equal(tracker.state, 'running')
})

test('drain() from onDrain joins the drain', async () => {
  let inner: unknown
  const rig = createTracker({ onDrain: () => { inner = rig.tracker.drain() } })
  rig.open()
  const outer = rig.tracker.drain()
  await rig.clock.flush()
  assert.equal(inner, outer)
})

test('a drain takes code, reason, delays, closeTimeout and cleanupTimeout from the options', async () => {
  const { tracker, open, clock } = createTracker({
    drain: { timeout: 4_000, code: 4_100, reason: 'bye', reconnect: { minDelay: 77 } }, closeTimeout: 300, cleanupTimeout: 200
  })
  const { connection, socket } = open({ peer: 'silent' })
  connection.defer(function hangs () { return new Promise(() => {}) })
  const drained = tracker.drain()
  await clock.run(600)
  assert.deepEqual(socket.closeFrame, { code: 4_100, reason: 'bye; retry=77' })
  const report = await drained
  assert.equal(report.timeout, 4_000)
  assert.ok(report.duration >= 300 && report.duration <= 400, `${report.duration}`)
  assert.equal(report.cleanups.abandoned[0]!.cleanup, 'hangs')
})

test('a drain with an even spread takes its time', async () => {
  const { tracker, open, clock } = createTracker({ drain: { spread: 1_000 } })
  for (let i = 0; i < 10; i++) open()
  void tracker.drain()
  await clock.run(899)
  assert.equal(tracker.size, 1)
  await clock.run(1)
  assert.equal(tracker.state, 'drained')
})

test('an onDrain that throws is logged by its name', async () => {
  const { tracker, open, clock, messages } = createTracker({ onDrain: () => { throw new Error('no') } })
  open()
  void tracker.drain()
  await clock.flush()
  assert.deepEqual(messages('error'), ['onDrain failed'])
})

test('a preClose runs in notify', async () => {
  const { tracker, clock } = createTracker()
  let state: string | undefined
  tracker.preClose(() => { state = tracker.state })
  void tracker.startDrain('close')
  await clock.flush()
  assert.equal(state, 'draining')
})

test('abortDrain() cuts the drain short', async () => {
  const { tracker, open, clock } = createTracker()
  const { socket } = open({ peer: 'silent' })
  const drained = tracker.drain()
  await clock.run(100)
  tracker.abortDrain()
  await clock.flush()
  assert.equal((await drained).aborted, true)
  assert.ok(socket.destroyed)
  assert.equal(tracker.leftovers, 0)
})

test('a connection that opens after the drain is closed at once', async () => {
  const { tracker, open, clock } = createTracker()
  await tracker.drain()
  const { connection, socket } = open()
  assert.equal(connection.state, 'closing')
  assert.equal(socket.closeFrame!.code, 1012)
  await clock.flush()
  assert.equal(tracker.leftovers, 0)
})

test('a connection that opens while the server settles is drained with the others', async () => {
  const { tracker, open, clock } = createTracker({ drain: { settleDelay: 500 } })
  const drained = tracker.drain()
  await clock.run(100)
  open()
  await clock.run(500)
  const { connections } = await drained
  assert.deepEqual([connections.total, connections.clean], [1, 1])
})

for (const [what, hook] of [
  ['a listener of "open"', (rig: TrackerRig) => { rig.tracker.on('open', () => { void rig.tracker.drain() }) }],
  ['onOpen', () => {}]
] as const) {
  test(`a drain that is started by ${what} counts that connection once`, async () => {
    const rig: TrackerRig = createTracker(what === 'onOpen' ? { onOpen: () => { void rig.tracker.drain() } } : {})
    hook(rig)
    const { connection } = rig.open()
    await rig.clock.run(10_000)
    const report = await rig.tracker.drain()
    assert.equal(connection.state, 'closed')
    assert.deepEqual([report.connections.total, report.connections.clean, report.connections.unfinished], [1, 1, 0])
    assert.equal(report.duration, 0)
  })
}

test('one that is accepted and refused while the server settles does not upset the count', async () => {
  // A plain HTTP route that is asked for a WebSocket: it is closed before it is announced.
  const { tracker, accept, open, clock } = createTracker({ drain: { settleDelay: 500 } })
  open()
  const drained = tracker.drain()
  await clock.run(100)
  const { connection, socket } = accept()
  connection.socketClosing('refused', 1005, '')
  socket.rawGone()
  await clock.run(500)
  const { connections } = await drained
  assert.equal(connections.unfinished, 0)
  assert.equal(connections.total, connections.clean + connections.terminated)
})

test('plan() is the plan of the options, and cannot be changed', () => {
  const { tracker } = createTracker({ drain: { terminationGracePeriod: 30_000, preStop: 5_000 } })
  const plan = tracker.plan()
  assert.equal(plan.timeout, 20_000)
  assert.match(String(plan), /timeout 20000 = terminationGracePeriod 30000 − preStop 5000 − reserve 5000/)
  assert.throws(() => { (plan as { timeout: number }).timeout = 1 }, TypeError)
})

test('adopt() hands a server over', () => {
  const { tracker, asked } = createTracker()
  const server = {} as WebSocketServer
  tracker.adopt(server)
  assert.deepEqual(asked, [['adopt', server]])
})

test('what is left is counted: connections, owners, tags, deadlines, work', async () => {
  const { tracker, open, clock } = createTracker({ heartbeat: false, backpressure: false })
  assert.equal(tracker.leftovers, 0)
  const { connection, socket } = open({ owner: 'ann', peer: 'silent' })
  assert.equal(tracker.leftovers, 2)
  connection.tag('lobby')
  assert.equal(tracker.leftovers, 3)
  const job = createJob()
  void connection.track(job.promise)
  assert.equal(tracker.leftovers, 4)
  void connection.close()
  assert.equal(tracker.leftovers, 5)
  job.done()
  socket.peerAnswers()
  await clock.flush()
  assert.equal(tracker.leftovers, 0)
  assert.equal(clock.pendingTimers, 0)
})

test('open connections are watched under their settings: heartbeat, idle timeout, lifetime; and nothing is left of it', async () => {
  const { tracker, open, clock } = createTracker({ heartbeat: { interval: 1_000, maxMissed: 1 }, idleTimeout: 60_000, maxLifetime: 120_000 })
  const { connection: dead } = open({ peer: 'silent' })
  const { connection: idle } = open()
  const busy = open()
  const causes = [dead, idle, busy.connection].map(async ({ closed }) => (await closed).cause)
  for (let i = 0; i < 13; i++) {
    await clock.run(10_000)
    busy.socket.peerSends('x')
  }
  await clock.run(1_000)
  assert.deepEqual(await Promise.all(causes), ['heartbeat', 'idle', 'lifetime'])
  assert.deepEqual([tracker.leftovers, clock.idle], [0, true])
})

test('one that started to close before it was announced is not watched for ever', async () => {
  const { tracker, accept, clock } = createTracker({ idleTimeout: 60_000, maxLifetime: 60_000 })
  const { connection } = accept()
  tracker.disconnect('all')
  tracker.opened(connection)
  await clock.run(10_000)
  assert.equal(connection.state, 'closed')
  assert.deepEqual([tracker.leftovers, clock.idle], [0, true])
})
