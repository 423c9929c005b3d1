/**
 * The wait for a slow reader to catch up: until the bytes queued for it are at or below a low-water mark.
 */
import type { WebSocket } from 'ws'
import { show } from '../base/check.ts'
import { Deadline, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import type { Settings } from './settings.ts'
import type { Transport } from './transport.ts'

/** Low-water mark without `maxBufferedBytes`, bytes; otherwise it is half of that. */
const DEFAULT_MARK = 65_536

/** Options of `writable()`. */
export interface WritableOptions {
  /** Ends the wait: the promise rejects with its reason. */
  signal?: AbortSignal
}

/** What the wait needs. */
interface WritableHost {
  readonly transport: Transport
  readonly running: Deadlines
}

/** What the wait needs of the connection. */
interface Writable {
  readonly socket: WebSocket
  readonly settings: Pick<Settings, 'backpressure'>
  readonly signal: AbortSignal
}

/** Resolves when the queue is at or below the mark; rejects with the reason of the first signal that is aborted, or with SOCKETS_ERR_INVALID_ARGUMENT. */
export function untilWritable (host: WritableHost, connection: Writable, { signal }: WritableOptions): Promise<void> {
  const { transport, running } = host
  const { socket, settings: { backpressure: { maxBufferedBytes } } } = connection
  const mark = maxBufferedBytes === false ? DEFAULT_MARK : maxBufferedBytes / 2
  const hasRoom = () => transport.pendingBytes(socket) <= mark
  const signals = signal === undefined ? [connection.signal] : [signal, connection.signal]
  return new Promise((resolve, reject) => {
    if (!signals.every(isSignal)) throw new SOCKETS_ERR_INVALID_ARGUMENT('signal', 'an AbortSignal', show(signal))
    const aborted = signals.find((each) => each.aborted)
    if (aborted !== undefined) return reject(reasonOf(aborted))
    if (hasRoom()) return resolve()
    const check = () => {
      if (hasRoom()) {
        settle()
        resolve()
      } else {
        running.set(deadline, TICK)
      }
    }
    const deadline = new Deadline(check)
    // An empty queue calls back at once; a shorter one is noticed at the next tick.
    const stopListening = transport.onDrained(socket, check)
    const abort = function (this: AbortSignal) {
      settle()
      reject(reasonOf(this))
    }
    const settle = () => {
      running.cancel(deadline)
      stopListening()
      // Called in an event of the raw socket, where what a signal of another library throws would reach the process.
      for (const each of signals) attempt(() => { each.removeEventListener('abort', abort) }, () => {})
    }
    try {
      for (const each of signals) each.addEventListener('abort', abort)
    } catch (error) {
      settle()
      throw error
    }
    running.set(deadline, TICK)
  })
}

/** Returns whether a value is a signal, of Node.js or of another library. */
function isSignal (value: AbortSignal | null): boolean {
  return typeof value?.aborted === 'boolean' && typeof value.addEventListener === 'function' && typeof value.removeEventListener === 'function'
}

function reasonOf (signal: AbortSignal): Error {
  return signal.reason as Error
}
