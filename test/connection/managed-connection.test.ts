import assert from 'node:assert/strict'
import test from 'node:test'
import { STATES } from '../../lib/connection/connection.ts'
import type { CloseRecord } from '../../lib/connection/connection.ts'
import { fault, handlerFailed } from '../../lib/connection/faults.ts'
import type { ConnectionHooks } from '../../lib/connection/hooks.ts'
import type { ClosedError } from '../../lib/base/errors.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { connectionOf } from '../../lib/connection/of-socket.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { createFakeHost } from '../helpers/fake-host.ts'
import type { FakeHost, Pair } from '../helpers/fake-host.ts'
import { generator } from '../helpers/generator.ts'

const DEADLOCK = { code: 'SOCKETS_ERR_CLEANUP_DEADLOCK' }

/** A host with one connection, and what was told of it. */
function setup (facts: Parameters<FakeHost['connect']>[0] = {}) {
  const host = createFakeHost()
  const heard = host.listen('open', 'draining', 'closing', 'closed', 'error')
  const pair = host.connect(facts)
  return { host, heard: () => heard.map((event) => event.split(' ')[0]), ...pair, clock: host.clock }
}

/** What a part of the plugin is told. */
function observe (host: FakeHost): string[] {
  const told: string[] = []
  const events = ['lateCleanupsSettled', 'workEnded', 'left', 'answered', 'gone', 'closed', 'cleanupAbandoned'] as const
  host.hooks.add(Object.fromEntries(events.map((event) => [event, () => { told.push(event) }])) as unknown as Pick<ConnectionHooks<ManagedConnection>, typeof events[number]>, ...events)
  return told
}

/** Puts a connection into a state. */
async function bring ({ connection, socket }: Pair, host: FakeHost, state: typeof STATES[number]): Promise<void> {
  if (state === 'open') return
  connection.startDraining()
  if (state === 'draining') return
  connection.end('drain', 1012, 'first')
  if (state === 'closing') return
  socket.peerAnswers()
  await host.clock.flush()
}

// ——— the way through the states

test('a connection goes open, draining, closing, closed, and tells each once', async () => {
  const { connection, socket, heard, clock } = setup()
  const states = [connection.state]
  connection.startDraining()
  states.push(connection.state)
  connection.end('drain', 1012, 'service restart')
  states.push(connection.state)
  socket.peerAnswers()
  await clock.flush()
  states.push(connection.state)
  assert.deepEqual(states, ['open', 'draining', 'closing', 'closed'])
  assert.deepEqual(heard(), ['open', 'draining', 'closing', 'closed'])
})

test('a new connection is found through its socket', () => {
  const { connection, socket } = setup()
  assert.equal(connectionOf(socket.ws), connection)
  for (const other of [{}, null, undefined]) assert.equal(connectionOf(other as never), undefined)
})

test('close sends a close frame with code and reason, and resolves with the record when all is over', async () => {
  const { connection, socket, clock } = setup()
  let record: CloseRecord | undefined
  void connection.close(4123, 'bye').then((result) => { record = result })
  assert.deepEqual(socket.closeFrame, { code: 4123, reason: 'bye' })
  await clock.flush()
  assert.equal(record, undefined)
  socket.peerAnswers()
  await clock.flush()
  assert.deepEqual(record, {
    id: connection.id,
    requestId: 'req-1',
    route: '/',
    cause: 'application',
    code: 4123,
    reason: 'bye',
    clean: true,
    receivedCode: 4123,
    openedAt: connection.openedAt,
    duration: 0,
    age: 0,
    steps: [],
    unanswered: 0,
    unsent: 0,
    bytesReceived: 0,
    bytesSent: 7,
    messages: 0,
    dropped: 0
  })
})

test('close without arguments sends 1000', () => {
  const { connection, socket } = setup()
  void connection.close()
  assert.deepEqual(socket.closeFrame, { code: 1000, reason: '' })
})

test('terminate destroys the raw socket and sends nothing', async () => {
  const { connection, socket, clock } = setup()
  const closed = connection.terminate()
  await clock.flush()
  assert.deepEqual([socket.frames, socket.destroyed], [[], true])
  const { cause, code, clean } = await closed
  assert.deepEqual([cause, code, clean], ['application', 1006, false])
})

for (const [code, reason, error] of [
  [1005, '', 'SOCKETS_ERR_INVALID_CLOSE_CODE'],
  [1006, '', 'SOCKETS_ERR_INVALID_CLOSE_CODE'],
  [999, '', 'SOCKETS_ERR_INVALID_CLOSE_CODE'],
  ['1000', '', 'SOCKETS_ERR_INVALID_CLOSE_CODE'],
  [1000, 5, 'SOCKETS_ERR_INVALID_ARGUMENT'],
  [1000, null, 'SOCKETS_ERR_INVALID_ARGUMENT']
] as Array<[number, string, string]>) {
  for (const state of STATES) {
    test(`close(${JSON.stringify(code)}, ${JSON.stringify(reason)}) throws and changes nothing: ${state}`, async () => {
      const { host, connection, socket } = setup()
      await bring({ connection, socket }, host, state)
      assert.throws(() => connection.close(code, reason), { code: error })
      assert.equal(connection.state, state)
    })
  }
}

test('a reason over 123 bytes is cut', () => {
  const { connection, socket } = setup()
  void connection.close(1000, '€'.repeat(100))
  assert.equal(socket.closeFrame!.reason, '€'.repeat(41))
})

test('close is the same promise for every call', async () => {
  const { connection, socket, clock } = setup()
  const first = connection.close()
  assert.equal(connection.close(), first)
  assert.equal(connection.terminate(), first)
  assert.equal(connection.closed, first)
  socket.peerAnswers()
  await clock.flush()
  assert.equal(connection.close(), first)
})

test('closed can be asked for afterwards', async () => {
  const { host, connection, socket } = setup()
  await bring({ connection, socket }, host, 'closed')
  assert.equal((await connection.closed).code, 1012)
  assert.equal((await connection.close()).code, 1012)
})

test('a stream without a handle gets its frame and is destroyed at once', async () => {
  const { connection, socket, clock } = setup({ handle: false })
  void connection.close(1012, 'x')
  assert.deepEqual(socket.calls.slice(0, 2), ['close 1012 x', 'terminate'])
  await clock.flush()
  assert.equal(connection.state, 'closed')
})

// ——— how it ends

const ENDS: Array<[what: string, end: (pair: Pair) => void, expected: Partial<CloseRecord>]> = [
  ['a client that closes', ({ socket }) => { socket.peerCloses(4000, 'bye') }, { cause: 'client', code: 4000, reason: 'bye', clean: true }],
  ['a client that closes without a code', ({ socket }) => { socket.peerCloses(1005) }, { cause: 'client', code: 1005, reason: '', clean: true }],
  ['a client that vanishes', ({ socket }) => { socket.rawGone() }, { cause: 'network', code: 1006, reason: '', clean: false }],
  ['a client that vanishes after our frame', ({ connection, socket }) => { void connection.close(1000, 'x'); socket.rawGone() }, { cause: 'application', code: 1000, reason: 'x', clean: false }],
  ['the handler closing the socket', ({ socket }) => { socket.close(4001, 'y'); socket.peerAnswers() }, { cause: 'application', code: 4001, reason: 'y', clean: true }],
  ['the handler terminating the socket', ({ socket }) => { socket.terminate() }, { cause: 'application', code: 1006, clean: false }],
  ['a breach of protocol', ({ connection, socket }) => { connection.socketClosing('protocol', 1002, ''); socket.rawGone() }, { cause: 'protocol', code: 1002, clean: false }],
  ['a policy', ({ connection, socket }) => { connection.end('idle', 3008, 'idle'); socket.peerAnswers() }, { cause: 'idle', code: 3008, reason: 'idle', clean: true }],
  ['a policy that cuts off', ({ connection }) => { connection.kill('heartbeat') }, { cause: 'heartbeat', code: 1006, reason: '', clean: false }],
  ['a fault', ({ connection, socket }) => { fault(connection, new Error('x')); socket.peerAnswers() }, { cause: 'error', code: 1011, reason: 'internal error', clean: true }]
]
for (const [what, end, expected] of ENDS) {
  test(`${what} leaves a record that says so, and nothing else`, async () => {
    const { host, connection, socket, clock } = setup()
    end({ connection, socket })
    await clock.flush()
    const record = await connection.closed
    for (const [key, value] of Object.entries(expected)) assert.equal(record[key as keyof CloseRecord], value, key)
    assert.deepEqual(host.registry.history.find(), [record])
    assert.equal(host.leftovers, 0)
  })
}

test('a peer\'s reason is escaped in the record', async () => {
  const { connection, socket, clock } = setup()
  socket.peerCloses(1000, 'a\nb')
  await clock.flush()
  assert.equal((await connection.closed).reason, 'a\\u000ab')
})

test('the record tells traffic, messages and how long it was', async () => {
  const { connection, socket, clock } = setup({ route: '/x' })
  socket.peerSends('12345')
  await clock.run(1500)
  socket.send('123')
  socket.peerCloses()
  await clock.flush()
  const { route, bytesReceived, bytesSent, messages, duration } = await connection.closed
  assert.deepEqual({ route, bytesReceived, bytesSent, messages, duration }, { route: '/x', bytesReceived: 5, bytesSent: 7, messages: 1, duration: 1500 })
})

test('setting the wall clock changes no duration', async () => {
  for (const step of [3_600_000, -3_600_000]) {
    const host = createFakeHost()
    const { connection } = host.connect()
    host.clock.tick(1_000)
    host.clock.setWall(host.clock.wallNow() + step)
    void connection.terminate()
    await host.clock.flush()
    assert.equal((await connection.closed).duration, 1_000)
  }
})

test('what arrives after our close frame is not delivered, and counted', async () => {
  const { connection, socket, clock } = setup()
  void connection.close()
  socket.peerSends('late').peerSends('later').peerAnswers()
  await clock.flush()
  assert.deepEqual(socket.delivered, [])
  const { messages, dropped } = await connection.closed
  assert.deepEqual([messages, dropped], [0, 2])
})

test('a paused socket is resumed when it closes: it would hide the peer\'s answer', async () => {
  const { connection, socket, clock } = setup()
  socket.pause()
  void connection.close()
  socket.peerAnswers()
  await clock.flush()
  assert.equal(connection.state, 'closed')
})

test('a peer that never answers is cut off after closeTimeout', async () => {
  const { host, connection, socket, clock } = setup()
  const closed = connection.close()
  await clock.run(1999)
  assert.equal(socket.destroyed, false)
  await clock.run(51)
  assert.equal(socket.destroyed, true)
  assert.equal((await closed).clean, false)
  assert.equal(host.leftovers, 0)
})

test('a peer that answers but leaves TCP open is cut off too', async () => {
  const { connection, socket, clock } = setup()
  void connection.close()
  socket.closeFrameReceived = true
  connection.peerClosing(1000, '')
  await clock.run(2050)
  assert.equal((await connection.closed).clean, true)
})

test('a client that closes and leaves TCP open is cut off', async () => {
  const { connection, clock } = setup()
  connection.peerClosing(1000, '')
  await clock.run(2050)
  assert.equal(connection.state, 'closed')
})

test('terminate cuts a closing handshake short; the first cause stands', async () => {
  const { connection, socket, clock } = setup()
  connection.end('drain', 1012, '')
  void connection.terminate()
  await clock.flush()
  assert.equal(socket.destroyed, true)
  assert.equal((await connection.closed).cause, 'drain')
})

test('a socket whose receiver is broken and never tells is over after closeTimeout', async () => {
  const { host, connection, socket, clock } = setup()
  socket.broken = true
  socket.rawGone()
  await clock.run(1000)
  assert.notEqual(connection.state, 'closed')
  await clock.run(1100)
  assert.equal((await connection.closed).cause, 'network')
  assert.equal(host.leftovers, 0)
})

test('a socket that tells a little late leaves no deadline', async () => {
  const { host, connection, clock } = setup()
  connection.rawClosed(false)
  await clock.run(100)
  assert.notEqual(host.deadlines.size, 0)
  connection.socketClosed()
  assert.deepEqual([connection.state, host.leftovers], ['closed', 0])
})

test('signal is aborted when a listener of "closing" runs, drainSignal after those of "draining"', () => {
  const { host, connection } = setup()
  const { signal, drainSignal } = connection
  const seen: unknown[] = []
  host.events.on('draining', () => { seen.push(['draining', drainSignal.aborted, signal.aborted]) })
  host.events.on('closing', () => { seen.push(['closing', drainSignal.aborted, signal.aborted]) })
  connection.startDraining()
  connection.end('drain', 1012, '')
  assert.deepEqual(seen, [['draining', false, false], ['closing', true, true]])
})

// ——— every pair, and sequences

const CALLS: Record<string, (connection: ManagedConnection) => void> = {
  startDraining: (connection) => { connection.startDraining() },
  'end(lifetime)': (connection) => { connection.end('lifetime', 1012, '') },
  close: (connection) => { void connection.close(4000) },
  terminate: (connection) => { void connection.terminate() },
  'kill(slow)': (connection) => { connection.kill('slow') },
  fault: (connection) => { fault(connection, new Error('fault')) },
  handlerFailed: (connection) => { handlerFailed(connection, new Error('handler')) },
  peerClosing: (connection) => { connection.peerClosing(1001, '') },
  'socketClosing(protocol)': (connection) => { connection.socketClosing('protocol', 1002, '') },
  'rawClosed(false)': (connection) => { connection.rawClosed(false) },
  'rawClosed(true)': (connection) => { connection.rawClosed(true) },
  socketClosed: (connection) => { connection.socketClosed() }
}
/** The cause that a call gives when it is the first, and the state right after it. */
const FIRST: Record<string, [cause: string | undefined, state: typeof STATES[number]]> = {
  startDraining: [undefined, 'draining'],
  'end(lifetime)': ['lifetime', 'closing'],
  close: ['application', 'closing'],
  terminate: ['application', 'closing'],
  'kill(slow)': ['slow', 'closing'],
  fault: ['error', 'closing'],
  handlerFailed: ['error', 'closing'],
  peerClosing: ['client', 'closing'],
  'socketClosing(protocol)': ['protocol', 'closing'],
  'rawClosed(false)': ['network', 'open'],
  'rawClosed(true)': ['network', 'closed'],
  socketClosed: ['network', 'closed']
}

for (const state of STATES) {
  for (const [name, call] of Object.entries(CALLS)) {
    test(`${name} on a connection that is ${state}`, async () => {
      const { host, connection, socket, clock, heard } = setup()
      await bring({ connection, socket }, host, state)
      const before = heard().length
      call(connection)
      const [cause, first] = FIRST[name]!
      const gone = name === 'socketClosed' || name === 'rawClosed(true)'
      // Never backwards; late calls are ignored, but for the end of the raw socket.
      const expected = state === 'closing' && gone ? 'closed' : STATES[Math.max(STATES.indexOf(state), STATES.indexOf(first))]
      assert.equal(connection.state, expected)
      if (state === 'closed') assert.deepEqual(heard().slice(before).filter((event) => event !== 'error'), [])
      connection.socketClosed()
      await clock.run(10_000)
      assert.equal((await connection.closed).cause, state === 'open' || state === 'draining' ? cause ?? 'network' : 'drain')
      assert.equal(host.leftovers, 0)
    })
  }
}

test('whatever is called in whatever order: never backwards, each event once, the first cause stands, nothing is left', async () => {
  const names = Object.keys(CALLS)
  const sequences = names.flatMap((a) => names.map((b) => [a, b]))
  for (let seed = 1; seed <= 100; seed++) {
    const random = generator(seed)
    sequences.push(Array.from({ length: 5 }, () => names[Math.floor(random() * names.length)]!))
  }
  await Promise.all(sequences.map(sequence))

  async function sequence (calls: string[]): Promise<void> {
    const { host, connection, heard } = setup()
    const title = calls.join(', ')
    const reached = [connection.state]
    let cleanups = 0
    connection.defer(() => { cleanups++ })
    connection.defer(async () => { cleanups++ })
    const { signal, drainSignal } = connection
    for (const name of calls) {
      CALLS[name]!(connection)
      reached.push(connection.state)
    }
    connection.socketClosed()
    await host.clock.run(3000)
    reached.push(connection.state)
    const order = reached.map((state) => STATES.indexOf(state))
    assert.deepEqual(order, [...order].sort((x, y) => x - y), title)
    const events = heard().filter((event) => event !== 'error')
    assert.deepEqual(events, ['open', ...(events.includes('draining') ? ['draining'] : []), 'closing', 'closed'], title)
    // A raw socket that is gone and not told yet is looked at a turn later.
    const causes = calls.filter((name) => name !== 'rawClosed(false)').map((name) => FIRST[name]![0]).filter((cause) => cause !== undefined)
    assert.equal((await connection.closed).cause, causes[0] ?? 'network', title)
    assert.deepEqual([signal.aborted, drainSignal.aborted, cleanups], [true, events.includes('draining'), 2], title)
    assert.equal(host.leftovers, 0, title)
  }
})

// ——— signals

test('nothing rare is made before it is asked for', () => {
  const { host, connection } = setup()
  connection.startDraining()
  connection.end('drain', 1012, '')
  connection.socketClosed()
  assert.equal(host.loggers, 0)
})

test('drainSignal is aborted when the server leaves, with a coded reason', () => {
  const { connection } = setup()
  const { drainSignal } = connection
  assert.equal(drainSignal.aborted, false)
  connection.startDraining()
  assert.equal(drainSignal.aborted, true)
  assert.equal((drainSignal.reason as { code: string }).code, 'SOCKETS_ERR_DRAINING')
})

test('signal is aborted when the connection is closing, with code, reason and cause', () => {
  const { connection } = setup()
  const { signal } = connection
  connection.startDraining()
  assert.equal(signal.aborted, false)
  connection.end('expired', 3000, 'token expired')
  const { code, closeCode, closeReason, closeCause, message } = signal.reason as ClosedError
  assert.deepEqual([code, closeCode, closeReason, closeCause, message], ['SOCKETS_ERR_CLOSED', 3000, 'token expired', 'expired', 'connection closed: expired, code 3000, token expired'])
})

test('a signal without a reason text says cause and code', () => {
  const { connection } = setup()
  const { signal } = connection
  connection.kill('heartbeat')
  assert.equal((signal.reason as Error).message, 'connection closed: heartbeat, code 1006')
})

for (const state of ['closing', 'closed'] as const) {
  test(`signals that are read late, when ${state}, are aborted with the same reasons`, async () => {
    const { host, connection, socket } = setup()
    await bring({ connection, socket }, host, state)
    assert.equal((connection.drainSignal.reason as { code: string }).code, 'SOCKETS_ERR_DRAINING')
    assert.equal((connection.signal.reason as ClosedError).closeCode, 1012)
  })
}

test('each signal is one object', () => {
  const { connection } = setup()
  assert.equal(connection.signal, connection.signal)
  assert.equal(connection.drainSignal, connection.drainSignal)
  assert.notEqual(connection.signal, connection.drainSignal)
})

test('drainSignal of a connection that closed without a drain is never aborted', () => {
  const { connection } = setup()
  connection.end('idle', 3008, '')
  assert.equal(connection.drainSignal.aborted, false)
})

// ——— re-entrancy

test('a close from an abort listener of drainSignal: closing is told after draining', () => {
  const { connection, heard } = setup()
  connection.drainSignal.addEventListener('abort', () => { void connection.close() })
  connection.startDraining()
  assert.equal(connection.state, 'closing')
  assert.ok(['open,draining,closing', 'open,closing'].includes(heard().join()), heard().join())
})

test('a close from a listener of draining', () => {
  const { host, connection, heard } = setup()
  host.events.on('draining', (told) => { void told.close(4000) })
  connection.startDraining()
  assert.deepEqual([connection.state, heard()], ['closing', ['open', 'draining', 'closing']])
})

test('a close, an end and a kill from a listener of closing change nothing but the raw socket', async () => {
  const { host, connection, socket, clock, heard } = setup()
  host.events.on('closing', () => {
    void connection.close(4000)
    assert.equal(connection.end('idle', 3008, ''), false)
    connection.kill('slow')
  })
  connection.end('drain', 1012, '')
  await clock.flush()
  assert.equal((await connection.closed).code, 1012)
  assert.deepEqual([socket.destroyed, heard()], [true, ['open', 'closing', 'closed']])
})

test('a terminate from an abort listener of signal', async () => {
  const { connection, socket, clock } = setup()
  connection.signal.addEventListener('abort', () => { void connection.terminate() })
  void connection.close(4000)
  await clock.flush()
  assert.deepEqual([socket.destroyed, (await connection.closed).code], [true, 4000])
})

test('a close from a listener of open', async () => {
  const host = createFakeHost()
  host.events.on('open', (connection) => { void connection.close(4000) })
  const { connection, socket } = host.connect({ peer: 'answers' })
  await host.clock.flush()
  assert.deepEqual([connection.state, socket.closeFrame!.code, host.leftovers], ['closed', 4000, 0])
})

test('a cleanup deferred in a listener of closed still runs, and is late', async () => {
  const { host, connection, socket, clock } = setup()
  let ran = false
  host.events.on('closed', () => { connection.defer(async () => { ran = true }) })
  await host.leave({ connection, socket })
  await clock.flush()
  assert.deepEqual([ran, host.leftovers], [true, 0])
})

for (const [where, add] of [
  ['an abort listener', (connection: ManagedConnection, _host: FakeHost, then: () => void) => { connection.signal.addEventListener('abort', then) }],
  ['a listener of closing', (_connection: ManagedConnection, host: FakeHost, then: () => void) => { host.events.on('closing', then) }]
] as Array<[string, (connection: ManagedConnection, host: FakeHost, then: () => void) => void]>) {
  for (const kind of ['its first cleanup', 'another cleanup'] as const) {
    test(`a client vanishes, and ${where} defers ${kind}: closed waits for it, and is told after closing`, async () => {
      const { host, connection, socket, clock, heard } = setup()
      const { promise: work, resolve: done } = deferred<void>()
      if (kind === 'another cleanup') connection.defer(() => {})
      add(connection, host, () => { connection.defer(() => work) })
      socket.rawGone()
      await clock.flush()
      assert.equal(connection.state, 'closing')
      assert.equal(host.registry.late.size, 0)
      done()
      await clock.flush()
      assert.deepEqual([connection.state, heard()], ['closed', ['open', 'closing', 'closed']])
    })
  }
}

test('events of a client that vanishes keep their order also when a cleanup is deferred that ends at once', () => {
  const { connection, heard } = setup()
  connection.signal.addEventListener('abort', () => { connection.defer(() => {}) })
  connection.socketClosed()
  assert.deepEqual(heard(), ['open', 'closing', 'closed'])
})

test('an event listener that throws does not keep a connection from closing', async () => {
  const { host, connection, socket } = setup()
  let cleaned = false
  connection.defer(() => { cleaned = true })
  for (const event of ['draining', 'closing', 'closed'] as const) host.events.on(event, () => { throw new Error(event) })
  await bring({ connection, socket }, host, 'closed')
  assert.deepEqual([connection.state, cleaned, host.hookFailures.length], ['closed', true, 3])
})

// ——— cleanups

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

// ——— what observers are told

test('the observer is told gone and closed once each, answered and left when the peer closes', async () => {
  const { host, connection, socket } = setup()
  const told = observe(host)
  await host.leave({ connection, socket })
  assert.deepEqual([...told].sort(), ['answered', 'closed', 'gone', 'left'])
})

test('a peer that answers us has not left', async () => {
  const { host, connection, socket, clock } = setup()
  const told = observe(host)
  void connection.close()
  socket.peerAnswers()
  await clock.flush()
  assert.deepEqual([...told].sort(), ['answered', 'closed', 'gone'])
})

// ——— faults

test('a fault is counted, reported, told, and closes with 1011', () => {
  const { host, connection, socket, heard } = setup()
  const error = new Error('of a listener')
  fault(connection, error)
  assert.deepEqual([host.registry.counters.faults, host.reports], [1, [[error, connection]]])
  assert.deepEqual(socket.closeFrame, { code: 1011, reason: 'internal error' })
  assert.ok(heard().includes('error'))
})

test('the code of a fault can be chosen', () => {
  const host = createFakeHost({ errorCode: 4500 })
  const { connection, socket } = host.connect()
  fault(connection, new Error('x'))
  assert.equal(socket.closeFrame!.code, 4500)
})

test('after a fault the connection is mute', async () => {
  const { connection, socket, clock } = setup()
  socket.peerSends('before')
  await clock.flush()
  fault(connection, new Error('x'))
  socket.peerSends('after')
  await clock.flush()
  assert.deepEqual(socket.delivered, ['before'])
})

test('a handler that fails before anything was received is cut off without a code, and mute', async () => {
  const { host, connection, socket, clock } = setup()
  handlerFailed(connection, new Error('x'))
  // ws reads what has arrived when its raw socket is destroyed.
  assert.equal(connection.received(Buffer.from('late'), false), false)
  await clock.flush()
  assert.deepEqual([socket.frames, socket.destroyed], [[], true])
  const { cause, code } = await connection.closed
  assert.deepEqual([cause, code, host.registry.counters.faults, host.reports.length], ['error', 1006, 1, 1])
})

test('a handler that fails afterwards closes with 1011', async () => {
  const { connection, socket, clock } = setup()
  socket.peerSends('x')
  await clock.flush()
  handlerFailed(connection, new Error('x'))
  assert.equal(socket.closeFrame!.code, 1011)
})

for (const thrown of [null, undefined, 0, 'text', Object.defineProperty({}, 'name', { get () { throw new Error('gotcha') } })]) {
  for (const state of ['open', 'closing'] as const) {
    test(`a fault may be anything thrown, when ${state}: ${typeof thrown} ${JSON.stringify(thrown)}`, async () => {
      const { host, connection, socket } = setup()
      await bring({ connection, socket }, host, state)
      fault(connection, thrown)
      assert.deepEqual([host.registry.counters.faults, host.reports], [1, [[thrown, connection]]])
    })
  }
}

test('while closing, the reason of the signal and an AbortError are no faults', async () => {
  const { host, connection } = setup()
  const { signal } = connection
  void connection.close()
  fault(connection, signal.reason)
  fault(connection, new DOMException('The operation was aborted', 'AbortError'))
  handlerFailed(connection, signal.reason)
  assert.deepEqual([host.registry.counters.faults, host.reports], [0, []])
  assert.deepEqual(host.logs.map(({ level }) => level), ['debug', 'debug', 'debug'])
})

test('while draining, an abort is known by its name alone, and what has no readable name is a fault', () => {
  const { host, connection } = setup()
  connection.startDraining()
  fault(connection, Object.assign(new Error('x'), { name: 'AbortError' }))
  handlerFailed(connection, Object.assign(new Error('x'), { name: 'AbortError' }))
  assert.deepEqual([host.registry.counters.faults, connection.state], [0, 'draining'])
  const unreadable: unknown = Object.defineProperty({}, 'name', { get () { throw new Error('no name') } })
  const faults = [null, undefined, 'AbortError', new Error('AbortError'), {}, 0, unreadable]
  for (const error of faults) fault(connection, error)
  assert.deepEqual(host.reports.map(([error]) => error), faults)
})

test('while open, an AbortError is a fault', () => {
  const { host, connection } = setup()
  fault(connection, new DOMException('The operation was aborted', 'AbortError'))
  assert.equal(host.registry.counters.faults, 1)
})

test('a fault while closing is reported, and changes nothing else', () => {
  const { host, connection, socket } = setup()
  connection.end('drain', 1012, '')
  fault(connection, new Error('x'))
  assert.deepEqual([host.reports.length, socket.frames.length], [1, 1])
})

// ——— loggers that trip

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

test('tracked work that rejects with what no logger can read is logged without it', async () => {
  const { host, connection, clock } = setup()
  connection.track(Promise.reject(TRIPWIRE())).catch(() => {})
  await clock.flush()
  assert.deepEqual([connection.working, host.logs.map(({ message }) => message)], [false, ['tracked work failed']])
})
