/**
 * `connection.writable()`: a producer waits until a slow reader has caught up.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createFakeHost, NO_SETTINGS } from '../helpers/fake-host.ts'

function setup (maxBufferedBytes: number | false = false, pending = 0) {
  const host = createFakeHost({ settings: { backpressure: { ...NO_SETTINGS.backpressure, maxBufferedBytes } } })
  const pair = host.connect()
  pair.socket.bytesPending(pending)
  const told: string[] = []
  const wait = (signal?: AbortSignal) => {
    void pair.connection.writable(signal === undefined ? {} : { signal }).then(() => { told.push('room') }, (error: Error & { code?: string }) => { told.push(typeof error.code === 'string' ? error.code : error.name) })
  }
  return { host, clock: host.clock, ...pair, told, wait }
}

test('where nothing waits it resolves at once, and leaves nothing', async () => {
  const { host, clock, told, wait, socket } = setup()
  wait()
  await clock.flush()
  assert.deepEqual([told, host.running.size, socket.drains.size], [['room'], 0, 0])
})

for (const [cap, mark] of [[false, 65_536], [1_000, 500]] as const) {
  test(`with a cap of ${cap} there is room at ${mark} bytes`, async () => {
    const { clock, socket, told, wait, host } = setup(cap, mark + 1)
    wait()
    await clock.run(1_000)
    assert.deepEqual(told, [])
    socket.bytesPending(mark)
    await clock.run(100)
    assert.deepEqual([told, host.running.size, socket.drains.size], [['room'], 0, 0])
    wait()
    await clock.flush()
    assert.equal(told.length, 2)
  })
}

test('an empty queue is told without a tick', async () => {
  const { clock, socket, told, wait, host } = setup(false, 100_000)
  wait()
  socket.bytesPending(0)
  await clock.flush()
  assert.deepEqual([told, host.running.size, socket.drains.size], [['room'], 0, 0])
})

test('several may wait at once', async () => {
  const { clock, socket, told, wait } = setup(false, 100_000)
  for (let i = 0; i < 5; i++) wait()
  await clock.run(1_000)
  socket.bytesPending(0)
  await clock.flush()
  assert.deepEqual([told.length, socket.drains.size], [5, 0])
})

test('a signal ends the waiting with its reason', async () => {
  const { clock, told, wait, host, socket } = setup(false, 100_000)
  const controller = new AbortController()
  wait(controller.signal)
  await clock.run(500)
  controller.abort()
  await clock.flush()
  assert.deepEqual([told, host.running.size, socket.drains.size], [['AbortError'], 0, 0])
  // It was aborted before.
  wait(controller.signal)
  await clock.flush()
  assert.deepEqual(told, ['AbortError', 'AbortError'])
})

test('a connection that closes ends the waiting, and so does one that is closed', async () => {
  const { clock, told, wait, host, connection, socket } = setup(false, 100_000)
  wait()
  void connection.close().catch(() => {})
  await clock.flush()
  assert.deepEqual([told, host.running.size, socket.drains.size], [['SOCKETS_ERR_CLOSED'], 0, 0])
  socket.rawGone()
  await clock.flush()
  wait()
  await clock.flush()
  assert.deepEqual(told, ['SOCKETS_ERR_CLOSED', 'SOCKETS_ERR_CLOSED'])
  await clock.run(10_000)
  assert.equal(host.leftovers, 0)
})

test('a drain does not end it: what is under way may be finished', async () => {
  const { clock, told, wait, connection, socket } = setup(false, 100_000)
  wait()
  connection.startDraining()
  await clock.run(100)
  assert.deepEqual(told, [])
  socket.bytesPending(0)
  await clock.flush()
  assert.deepEqual(told, ['room'])
})

for (const [what, signal] of [['its controller', new AbortController()], ['null', null], ['a text', 'signal']] as Array<[string, never]>) {
  test(`${what} in the place of a signal is refused at once, and leaves nothing`, async () => {
    const { clock, told, wait, host, socket } = setup(false, 100_000)
    wait(signal)
    await clock.flush()
    assert.deepEqual([told, host.running.size, socket.drains.size], [['SOCKETS_ERR_INVALID_ARGUMENT'], 0, 0])
  })
}

test('a signal whose methods throw ends nothing else: what drains the queue goes on', async () => {
  const { clock, told, wait, host, socket } = setup(false, 100_000)
  wait({ aborted: false, addEventListener () {}, removeEventListener () { throw new Error('removed') } } as never)
  socket.bytesPending(0)
  await clock.flush()
  assert.deepEqual([told, host.running.size, socket.drains.size], [['room'], 0, 0])
})

test('a signal that takes no listener rejects with its error, and leaves nothing', async () => {
  const { clock, told, wait, host, socket } = setup(false, 100_000)
  wait({ aborted: false, addEventListener () { throw new Error('added') }, removeEventListener () {} } as never)
  await clock.flush()
  assert.deepEqual([told.length, host.running.size, socket.drains.size], [1, 0, 0])
})

test('a signal that is aborted later holds nothing of ours', async () => {
  const { clock, told, wait, socket } = setup(false, 100_000)
  const controller = new AbortController()
  let listeners = 0
  const { addEventListener, removeEventListener } = controller.signal
  controller.signal.addEventListener = function (this: AbortSignal, ...args: Parameters<typeof addEventListener>) { listeners++; addEventListener.apply(this, args) } as typeof addEventListener
  controller.signal.removeEventListener = function (this: AbortSignal, ...args: Parameters<typeof removeEventListener>) { listeners--; removeEventListener.apply(this, args) } as typeof removeEventListener
  wait(controller.signal)
  await clock.flush()
  assert.equal(listeners, 1)
  socket.bytesPending(0)
  await clock.flush()
  assert.deepEqual([listeners, told], [0, ['room']])
})
