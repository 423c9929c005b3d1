/**
 * Waiting until a slow reader has caught up: resolves when the bytes that wait for it are below a mark.
 */
import type { WebSocket } from 'ws'
import { Deadline, TICK } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Settings } from './settings.ts'
import type { Transport } from './transport.ts'

/** Mark where no `maxBufferedBytes` is set, bytes; else it is half of that. */
const DEFAULT_MARK = 65_536

/** Options of `writable()`. */
export interface WritableOptions {
  /** Ends the waiting: the promise is rejected with its reason. */
  signal?: AbortSignal
}

/** What the waiting needs. */
interface WritableHost {
  readonly transport: Transport
  readonly running: Deadlines
}

/** What it needs of the connection. */
interface Writable {
  readonly socket: WebSocket
  readonly settings: Pick<Settings, 'backpressure'>
  readonly signal: AbortSignal
}

/** Resolves when there is room; rejects with the reason of `signal`, or of the connection's own when that closes. */
export function untilWritable (host: WritableHost, connection: Writable, { signal }: WritableOptions): Promise<void> {
  const { transport, running } = host
  const { socket, settings: { backpressure: { maxBufferedBytes } } } = connection
  const mark = maxBufferedBytes === false ? DEFAULT_MARK : maxBufferedBytes / 2
  const hasRoom = () => transport.pendingBytes(socket) <= mark
  const signals = signal === undefined ? [connection.signal] : [signal, connection.signal]
  return new Promise((resolve, reject) => {
    const aborted = signals.find((each) => each.aborted)
    if (aborted !== undefined) return reject(reasonOf(aborted))
    if (hasRoom()) return resolve()
    const look = () => {
      if (hasRoom()) {
        settle()
        resolve()
      } else {
        running.set(deadline, TICK)
      }
    }
    const deadline = new Deadline(look)
    // Empty queues are told at once; a queue that is only shorter is seen by the next tick.
    const stopListening = transport.onDrained(socket, look)
    const abort = function (this: AbortSignal) {
      settle()
      reject(reasonOf(this))
    }
    const settle = () => {
      running.cancel(deadline)
      stopListening()
      for (const each of signals) each.removeEventListener('abort', abort)
    }
    for (const each of signals) each.addEventListener('abort', abort)
    running.set(deadline, TICK)
  })
}

function reasonOf (signal: AbortSignal): Error {
  return signal.reason as Error
}
