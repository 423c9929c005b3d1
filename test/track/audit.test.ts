/**
 * The audit: an event for each `disconnect()` and `drain()`, with who, why, whom and the result, and none for what policies do.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { AuditRecord, Filter } from '../../lib/index.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

/** A tracker, and the acts that it has told. */
function setup () {
  const rig = createTracker({ heartbeat: { interval: 1_000, maxMissed: 1 } })
  const acts: AuditRecord[] = []
  rig.tracker.on('audit', (act) => { acts.push(act) })
  return { ...rig, acts }
}

test('a disconnect tells who, why, whom and how many', () => {
  const { tracker, open, clock, acts } = setup()
  for (const owner of ['ann', 'bob', 'ann']) open({ owner })
  assert.equal(tracker.disconnect({ owner: 'ann', where: () => true }, { by: 'eve', why: 'account closed', code: 4003 }), 2)
  assert.deepEqual(acts, [{
    action: 'disconnect',
    by: 'eve',
    why: 'account closed',
    target: { owner: 'ann', where: 'a function' },
    outcome: 'done',
    connections: 2,
    at: clock.wallNow()
  }])
})

test('a disconnect of none, and of all, without who and why', () => {
  const { tracker, open, acts } = setup()
  const { connection } = open()
  tracker.disconnect({ id: -1 })
  tracker.disconnect('all')
  tracker.disconnect({ id: connection.id })
  assert.deepEqual(acts.map(({ at: _at, ...act }) => act), [
    { action: 'disconnect', target: { id: -1 }, outcome: 'done', connections: 0 },
    { action: 'disconnect', target: 'all', outcome: 'done', connections: 1 },
    { action: 'disconnect', target: { id: connection.id }, outcome: 'done', connections: 0 }
  ])
})

for (const [what, filter, close, target, error] of [
  ['an empty filter', {}, {}, {}, 'SOCKETS_ERR_INVALID_FILTER'],
  ['a filter that is none', null, {}, 'null', 'SOCKETS_ERR_INVALID_FILTER'],
  ['a filter that is another text', 'every', {}, '"every"', 'SOCKETS_ERR_INVALID_FILTER'],
  ['a filter with a wrong value', { owner: { secret: 1 } }, {}, { owner: 'an object' }, 'SOCKETS_ERR_INVALID_FILTER'],
  ['a bare code', 'all', 3003, 'all', 'SOCKETS_ERR_INVALID_ARGUMENT'],
  ['no options', 'all', null, 'all', 'SOCKETS_ERR_INVALID_ARGUMENT'],
  ['a code that must not be sent', 'all', { code: 1006 }, 'all', 'SOCKETS_ERR_INVALID_CLOSE_CODE'],
  ['a name that is no text', 'all', { by: 1 }, 'all', 'SOCKETS_ERR_INVALID_ARGUMENT'],
  ['a reason that is no text', 'all', { why: {} }, 'all', 'SOCKETS_ERR_INVALID_ARGUMENT']
] as const) {
  test(`a disconnect that fails is told, with its code, and closes none: ${what}`, () => {
    const { tracker, open, acts } = setup()
    const { connection } = open()
    assert.throws(() => tracker.disconnect(filter as never, close as never), { code: error })
    assert.deepEqual(acts.map(({ at: _at, ...act }) => act), [{ action: 'disconnect', target, outcome: 'failed', connections: 0, error }])
    assert.equal(connection.state, 'open')
  })
}

test('what code of the application throws is passed on, and not told', () => {
  const { tracker, open, acts } = setup()
  open()
  const where = () => { throw null } // eslint-disable-line no-throw-literal -- anything may be thrown
  assert.throws(() => tracker.disconnect({ where }, { by: 'eve' }), (error) => error === null)
  const hostile = { get owner () { throw new Error('secret') } } as unknown as Filter
  assert.throws(() => tracker.disconnect(hostile))
  assert.deepEqual(acts.map(({ target, error, by }) => [target, error, by]), [[{ where: 'a function' }, 'unknown', 'eve'], [{}, 'unknown', undefined]])
})

test('texts are cut and escaped, in the audit and in the history', async () => {
  const { tracker, open, clock, acts } = setup()
  open({ owner: 'ann\n' })
  tracker.disconnect({ owner: 'ann\n' }, { by: 'eve\u001b[31m', why: 'x'.repeat(1_000) })
  await clock.flush()
  const [{ by, why, target }] = acts as [AuditRecord]
  assert.deepEqual([by, why, target], ['eve\\u001b[31m', `${'x'.repeat(160)}…`, { owner: 'ann\\u000a' }])
  assert.deepEqual([tracker.history[0]!.by, tracker.history[0]!.why], [by, why])
})

test('a drain is told before it starts, and who joins it later is told too', async () => {
  const { tracker, open, clock, acts } = setup()
  open()
  open()
  const order: string[] = []
  tracker.on('audit', () => { order.push('audit') })
  tracker.on('drain', () => { order.push('drain') })
  void tracker.drain({ by: 'eve', why: 'new version' })
  void tracker.drain()
  assert.deepEqual(order, ['audit', 'drain', 'audit'])
  await clock.run(8_000)
  assert.deepEqual(acts.map(({ at: _at, ...act }) => act), [
    { action: 'drain', by: 'eve', why: 'new version', target: 'all', outcome: 'started', connections: 2 },
    { action: 'drain', target: 'all', outcome: 'joined', connections: 2 }
  ])
  assert.deepEqual(tracker.history.map(({ by, why }) => [by, why]), [['eve', 'new version'], ['eve', 'new version']])
})

test('a name that is no text does not keep a server from draining', async () => {
  const { tracker, clock, acts } = setup()
  const drained = tracker.drain(null as never)
  await clock.flush()
  assert.equal((await drained).trigger, 'drain')
  await tracker.drain({ by: 7 } as never)
  assert.deepEqual(acts.map(({ outcome, by }) => [outcome, by]), [['started', undefined], ['joined', undefined]])
})

test('a drain from a cleanup is told as failed', async () => {
  const { tracker, open, clock, acts } = setup()
  const { connection } = open()
  connection.defer(async () => { await assert.rejects(tracker.drain({ by: 'eve' }), { code: 'SOCKETS_ERR_CLEANUP_DEADLOCK' }) })
  void connection.close()
  await clock.run(100)
  assert.deepEqual(acts.map(({ outcome, error, by }) => [outcome, error, by]), [['failed', 'SOCKETS_ERR_CLEANUP_DEADLOCK', 'eve']])
})

test('an act that was not allowed can be told', () => {
  const { tracker, clock, acts } = setup()
  tracker.audited({ action: 'drain', by: 'eve\n', target: 'all', outcome: 'refused', connections: 0 })
  assert.deepEqual(acts, [{ action: 'drain', by: 'eve\\u000a', target: 'all', outcome: 'refused', connections: 0, at: clock.wallNow() }])
})

test('the target of an act that was not allowed is cut and escaped, as that of every other', () => {
  const { tracker, acts } = setup()
  const owner = `\u202e${'x'.repeat(1_600)}`
  tracker.disconnect({ owner })
  tracker.audited({ action: 'disconnect', target: { owner }, outcome: 'refused', connections: 0 })
  const target = { owner: `\\u202e${'x'.repeat(122)}…` }
  assert.deepEqual(acts.map((act) => [act.outcome, act.target]), [['done', target], ['refused', target]])
})

test('policies, handlers, app.close() and signals are not in the audit', async () => {
  const { tracker, open, clock, acts } = setup()
  open({ peer: 'silent' })
  const { connection } = open()
  void open().connection.close()
  connection.expiresAt = clock.wallNow() + 1
  await clock.run(5_000)
  open()
  void tracker.startDrain('SIGTERM')
  void tracker.startDrain('close')
  await clock.run(8_000)
  assert.deepEqual(tracker.history.map(({ cause }) => cause).toSorted(), ['application', 'drain', 'expired', 'heartbeat'])
  assert.deepEqual(acts, [])
})

test('an error of a listener does not reach the caller', () => {
  const { tracker, open } = setup()
  open()
  tracker.on('audit', () => { throw new Error('listener') })
  assert.equal(tracker.disconnect('all'), 1)
})
