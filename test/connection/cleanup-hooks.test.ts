/**
 * The cleanups of a connection: when they run, who is told, and what they hold up. The stack itself is tested in cleanups.test.ts.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { CloseRecord } from '../../lib/connection/connection.ts'
import { bring, ENDS, observe, setup } from '../helpers/connection-rig.ts'
import { createFakeHost } from '../helpers/fake-host.ts'

const DEADLOCK = { code: 'SOCKETS_ERR_CLEANUP_DEADLOCK' }

test('cleanups run when the connection is closing, last in first out, on either side\'s close', async () => {
  for (const [, end] of ENDS) {
    const { connection, socket, clock } = setup()
    const order: number[] = []
    for (let i = 1; i <= 3; i++) connection.defer(async () => { order.push(i) })
    end({ connection, socket })
    await clock.flush()
    assert.deepEqual(order, [3, 2, 1])
  }
})

test('what defer returns takes the cleanup back until it has started', async () => {
  const { host, connection, socket } = setup()
  const ran: string[] = []
  connection.defer(() => { ran.push('kept') })
  const takeBack = connection.defer(() => { ran.push('taken back') })
  takeBack()
  takeBack()
  await host.leave({ connection, socket })
  // Started at once.
  connection.defer(() => { ran.push('late') })()
  takeBack()
  assert.deepEqual(ran, ['kept', 'late'])
  assert.deepEqual(host.registry.counters.cleanups, { finished: 2, failed: 0, abandoned: 0 })
})

test('closed waits for the cleanups, also when the raw socket is gone long before', async () => {
  const { host, connection, socket, clock } = setup()
  let done!: () => void
  connection.defer(() => new Promise<void>((resolve) => { done = resolve }))
  socket.rawGone()
  await clock.run(1000)
  assert.deepEqual([connection.state, connection.gone, host.registry.size], ['closing', true, 1])
  done()
  await clock.flush()
  assert.equal((await connection.closed).duration, 1000)
})

test('closed waits for the raw socket, also when the cleanups are through', async () => {
  const { connection, clock } = setup()
  connection.defer(() => {})
  void connection.close()
  await clock.run(500)
  assert.equal(connection.state, 'closing')
})

test('a cleanup that throws is logged, counted and told; the others run', async () => {
  const { host, connection, socket, heard } = setup()
  const error = new Error('of the cleanup')
  connection.defer(() => {})
  connection.defer(() => { throw error })
  await host.leave({ connection, socket })
  assert.deepEqual(host.registry.counters.cleanups, { finished: 1, failed: 1, abandoned: 0 })
  assert.deepEqual(host.logs.map(({ level, fields, message }) => [level, fields['err'], message]), [['error', error, 'cleanup failed']])
  assert.ok(heard().includes('error'))
})

test('a cleanup that hangs is given up after cleanupTimeout, and named', async () => {
  const { host, connection, socket, clock } = setup()
  const told = observe(host)
  connection.defer(function closeSubscription () { return new Promise(() => {}) })
  connection.defer(() => new Promise(() => {}))
  socket.rawGone()
  await clock.run(10_200)
  assert.equal(connection.state, 'closed')
  assert.deepEqual(host.logs.map(({ level, fields }) => [level, fields['cleanup']]), [['error', 'anonymous'], ['error', 'closeSubscription']])
  assert.deepEqual(host.registry.counters.cleanups, { finished: 0, failed: 0, abandoned: 2 })
  assert.equal(told.filter((what) => what === 'cleanupAbandoned').length, 2)
  assert.equal(host.leftovers, 0)
})

for (const state of ['closing', 'closed'] as const) {
  test(`a cleanup deferred when ${state} runs at once`, async () => {
    const { host, connection, socket } = setup()
    await bring({ connection, socket }, host, state)
    let ran = 0
    connection.defer(() => { ran++ })
    connection.defer(() => { ran++ })
    assert.equal(ran, 2)
    assert.equal(host.registry.counters.cleanups.finished, 2)
  })
}

test('a cleanup deferred when closing counts towards closed', async () => {
  const { connection, socket, clock } = setup()
  void connection.close()
  let done!: () => void
  connection.defer(() => new Promise<void>((resolve) => { done = resolve }))
  socket.peerAnswers()
  await clock.flush()
  assert.deepEqual([connection.gone, connection.state], [true, 'closing'])
  done()
  await clock.flush()
  assert.equal(connection.state, 'closed')
})

test('a cleanup deferred when closed is known until it has settled', async () => {
  const { host, connection, socket, clock } = setup()
  await bring({ connection, socket }, host, 'closed')
  const told = observe(host)
  const ends: Array<() => void> = []
  for (let i = 0; i < 2; i++) connection.defer(() => new Promise<void>((resolve) => { ends.push(resolve) }))
  connection.defer(() => {})
  assert.deepEqual([...host.registry.late], [connection])
  ends[0]!()
  await clock.flush()
  assert.deepEqual([...host.registry.late], [connection])
  told.length = 0
  ends[1]!()
  await clock.flush()
  assert.deepEqual([host.leftovers, told], [0, ['lateCleanupsSettled']])
})

test('a cleanup deferred when closed that hangs is given up', async () => {
  const { host, connection, socket, clock } = setup()
  await bring({ connection, socket }, host, 'closed')
  connection.defer(() => new Promise(() => {}))
  await clock.run(5100)
  assert.deepEqual([host.registry.counters.cleanups.abandoned, host.leftovers], [1, 0])
})

test('a cleanup may defer another', async () => {
  const { host, connection, socket } = setup()
  const order: string[] = []
  connection.defer(() => { order.push('first') })
  connection.defer(async () => {
    order.push('second')
    connection.defer(() => { order.push('sync') })
    await Promise.resolve()
    connection.defer(() => { order.push('async') })
  })
  await host.leave({ connection, socket })
  assert.deepEqual(order, ['second', 'sync', 'async', 'first'])
})

for (const value of [undefined, null, {}, 'text']) {
  test(`defer(${JSON.stringify(value)}) throws`, () => {
    const { connection } = setup()
    assert.throws(() => { connection.defer(value as never) }, { code: 'SOCKETS_ERR_INVALID_ARGUMENT' })
  })
}

test('close and terminate from within a cleanup change nothing, and awaiting them is refused with a code', async () => {
  const { host, connection, socket, clock } = setup()
  const results: Array<Promise<unknown>> = []
  connection.defer(() => { results.push(connection.close(4000), connection.terminate(), connection.closed) })
  connection.end('drain', 1012, 'x')
  for (const result of results) await assert.rejects(result, DEADLOCK)
  await clock.flush()
  assert.deepEqual(socket.frames, [{ type: 'close', code: 1012, reason: 'x' }])
  assert.equal((await connection.closed).cause, 'drain')
  assert.equal(host.leftovers, 0)
})

test('a cleanup that awaits its own connection fails with the code and holds up no other cleanup', async () => {
  const { host, connection, socket } = setup()
  const errors: unknown[] = []
  host.events.on('error', (error) => { errors.push(error) })
  connection.defer(async () => { await connection.closed })
  await host.leave({ connection, socket })
  assert.deepEqual(errors.map((error) => (error as { code: string }).code), ['SOCKETS_ERR_CLEANUP_DEADLOCK'])
})

test('a refused promise that is not awaited is no unhandled rejection', async () => {
  const { host, connection, socket } = setup()
  connection.defer(() => { void connection.closed })
  await host.leave({ connection, socket })
})

test('a cleanup may close another connection and await it', async () => {
  const host = createFakeHost()
  const [a, b] = [host.connect({ peer: 'answers' }), host.connect({ peer: 'answers' })]
  let other: CloseRecord | undefined
  b.connection.defer(() => {})
  a.connection.defer(async () => { other = await b.connection.close(4000) })
  void a.connection.close()
  await host.clock.flush()
  assert.equal(other?.code, 4000)
  assert.equal(a.connection.state, 'closed')
  assert.equal(host.leftovers, 0)
})

test('cleanups can be started together; those that are given up no longer count', async () => {
  const { host, connection, socket, clock } = setup()
  const started: number[] = []
  for (let i = 0; i < 3; i++) connection.defer(() => { started.push(i); return new Promise(() => {}) })
  socket.rawGone()
  await clock.flush()
  assert.deepEqual(started, [2])
  connection.startCleanups()
  assert.deepEqual(started, [2, 1, 0])
  connection.giveUp()
  assert.deepEqual([connection.state, host.registry.counters.cleanups.abandoned, host.leftovers], ['closed', 3, 0])
})

test('a connection without cleanups has nothing to start or give up', () => {
  const { connection } = setup()
  connection.startCleanups()
  connection.giveUp()
  assert.equal(connection.state, 'open')
})

/** What no logger can read. */
const TRIPWIRE = () => Object.defineProperty({}, 'message', { get () { throw new Error('gotcha') } })

test('a cleanup that throws what no logger can read does not stop the others', async () => {
  const { host, connection, socket } = setup()
  let ran = false
  connection.defer(() => { ran = true })
  connection.defer(() => { throw TRIPWIRE() })
  connection.defer(async () => { throw TRIPWIRE() })
  await host.leave({ connection, socket })
  assert.deepEqual([ran, connection.state, host.registry.counters.cleanups.failed, host.leftovers], [true, 'closed', 2, 0])
  assert.deepEqual(host.logs.map(({ message }) => message), ['cleanup failed', 'cleanup failed'])
})
