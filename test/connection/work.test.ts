/**
 * Work in flight: promises that `track()` was given, and what counts them.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createFakeHost } from '../helpers/fake-host.ts'
import { createJob } from '../helpers/job.ts'

function setup () {
  const host = createFakeHost()
  return { host, clock: host.clock, ...host.connect() }
}

test('tracked promises are work until they have settled', async () => {
  const { host, connection, clock } = setup()
  const [a, b] = [createJob(), createJob()]
  void connection.track(a.promise)
  void connection.track(b.promise)
  assert.deepEqual([connection.working, host.registry.working], [true, 1])
  a.done()
  await clock.flush()
  assert.deepEqual([connection.working, host.registry.working], [true, 1])
  b.done()
  await clock.flush()
  assert.deepEqual([connection.working, host.registry.working], [false, 0])
})

test('work is counted by connections', () => {
  const host = createFakeHost()
  for (const { connection } of host.crowd(3)) {
    connection.work.start()
    connection.work.start()
  }
  assert.equal(host.registry.working, 3)
})

test('track returns what it was given', () => {
  const { connection } = setup()
  const promise = Promise.resolve(5)
  assert.equal(connection.track(promise), promise)
})

test('tracked work that rejects is logged, is no fault, and stays the caller\'s', async () => {
  const { host, connection } = setup()
  const error = new Error('of the work')
  await assert.rejects(connection.track(Promise.reject(error)), error)
  assert.deepEqual([connection.working, connection.state, host.registry.counters.faults], [false, 'open', 0])
  assert.deepEqual(host.logs.map(({ level, fields }) => [level, fields['err']]), [['warn', error]])
})

test('tracked work that rejects and is not awaited is no unhandled rejection', async () => {
  const { connection, clock } = setup()
  void connection.track(Promise.reject(new Error('of the work')))
  await clock.flush()
  assert.equal(connection.working, false)
})

for (const value of [undefined, null, 5, {}, { then: true }, () => {}]) {
  test(`track(${typeof value} ${JSON.stringify(value)}) throws and counts nothing`, () => {
    const { connection } = setup()
    assert.throws(() => connection.track(value as never), { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
    assert.equal(connection.working, false)
  })
}

for (const [what, then] of [
  ['throws', () => { throw new Error('broken') }],
  ['resolves twice', (resolve: () => void) => { resolve(); resolve() }],
  ['resolves and rejects', (resolve: () => void, reject: (error: Error) => void) => { resolve(); reject(new Error('broken')) }]
] as Array<[string, () => void]>) {
  test(`work whose then ${what} counts once`, async () => {
    const { host, connection, clock } = setup()
    connection.work.start()
    void connection.track({ then } as unknown as PromiseLike<unknown>)
    await clock.flush()
    assert.deepEqual([connection.working, host.registry.working], [true, 1])
    connection.work.end()
    assert.equal(host.registry.working, 0)
  })
}

test('the observer is told when all work is done, and only then', async () => {
  const { host, connection, clock } = setup()
  let idle = 0
  host.hooks.add({ workEnded: () => { idle++ } }, 'workEnded')
  const [a, b] = [createJob(), createJob()]
  connection.work.hold(a.promise)
  connection.work.hold(b.promise)
  a.done()
  await clock.flush()
  assert.equal(idle, 0)
  b.fail(new Error('held work has its own way to tell'))
  await clock.flush()
  assert.equal(idle, 1)
})

test('what is held tells its rejection after the work has ended', async () => {
  const { connection, clock } = setup()
  const seen: unknown[] = []
  connection.work.hold(Promise.reject(new Error('x')), (error) => { seen.push((error as Error).message, connection.working) })
  await clock.flush()
  assert.deepEqual(seen, ['x', false])
})

test('work that outlives its connection counts until it is done', async () => {
  const { host, connection, socket, clock } = setup()
  const work = createJob()
  void connection.track(work.promise)
  await host.leave({ connection, socket })
  assert.deepEqual([connection.state, host.registry.working], ['closed', 1])
  work.done()
  await clock.flush()
  assert.equal(host.leftovers, 0)
})

test('tracked work that rejects with what no logger can read is logged without it', async () => {
  const host = createFakeHost()
  const { connection } = host.connect()
  const unreadable = Object.defineProperty({}, 'message', { get () { throw new Error('gotcha') } })
  connection.track(Promise.reject(unreadable)).catch(() => {})
  await host.clock.flush()
  assert.deepEqual([connection.working, host.logs.map(({ message }) => message)], [false, ['tracked work failed']])
})
