/**
 * `drainSignal` and `signal` of a connection.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { ClosedError } from '../../lib/base/errors.ts'
import { Signals } from '../../lib/connection/signals.ts'
import { bring, setup } from '../helpers/connection-rig.ts'

test('signals alone are made when they are read, and aborted from then on', () => {
  const signals = new Signals()
  const reason = new Error('closed')
  signals.abortDrain()
  signals.abortClose(() => reason)
  const [drain, close] = [signals.drain(false), signals.close(false)]
  assert.deepEqual([drain.aborted, close.aborted, signals.isReason(reason), signals.isReason(undefined)], [false, false, false, false])
  signals.abortClose(() => reason)
  assert.deepEqual([close.reason, signals.isReason(reason)], [reason, true])
  assert.equal(new Signals().drain(true).aborted, true)
})

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
