/**
 * The state machine of a connection: the way through the states, every pair of calls, and calls from listeners.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { deferred } from '../../lib/base/deferred.ts'
import { STATES } from '../../lib/connection/connection.ts'
import type { CloseRecord } from '../../lib/connection/connection.ts'
import { fault, handlerFailed } from '../../lib/connection/faults.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { connectionOf } from '../../lib/connection/of-socket.ts'
import { bring, observe, setup } from '../helpers/connection-rig.ts'
import { createFakeHost } from '../helpers/fake-host.ts'
import type { FakeHost } from '../helpers/fake-host.ts'
import { generator } from '../helpers/generator.ts'

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
