/**
 * A connection on a fake host, and what is told of it.
 */
import { STATES } from '../../lib/connection/connection.ts'
import type { CloseRecord } from '../../lib/connection/connection.ts'
import { fault } from '../../lib/connection/faults.ts'
import type { ConnectionHooks } from '../../lib/connection/hooks.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { createFakeHost } from './fake-host.ts'
import type { FakeHost, Pair } from './fake-host.ts'

/** A host with one connection, and what was told of it. */
export function setup (facts: Parameters<FakeHost['connect']>[0] = {}) {
  const host = createFakeHost()
  const heard = host.listen('open', 'draining', 'closing', 'closed', 'error')
  const pair = host.connect(facts)
  return { host, heard: () => heard.map((event) => event.split(' ')[0]), ...pair, clock: host.clock }
}

/** What a part of the plugin is told. */
export function observe (host: FakeHost): string[] {
  const told: string[] = []
  const events = ['lateCleanupsSettled', 'workEnded', 'left', 'answered', 'gone', 'closed', 'cleanupAbandoned'] as const
  host.hooks.add(Object.fromEntries(events.map((event) => [event, () => { told.push(event) }])) as unknown as Pick<ConnectionHooks<ManagedConnection>, typeof events[number]>, ...events)
  return told
}

/** Puts a connection into a state. */
export async function bring ({ connection, socket }: Pair, host: FakeHost, state: typeof STATES[number]): Promise<void> {
  if (state === 'open') return
  connection.startDraining()
  if (state === 'draining') return
  connection.end('drain', 1012, 'first')
  if (state === 'closing') return
  socket.peerAnswers()
  await host.clock.flush()
}

/** Every way in which a connection ends. */
export const ENDS: Array<[what: string, end: (pair: Pair) => void, expected: Partial<CloseRecord>]> = [
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
