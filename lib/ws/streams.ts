/**
 * Isolation of streams over a socket (`createWebSocketStream` of ws): what their listeners throw or reject with is a fault of the
 * connection.
 *
 * ws returns such a stream to its caller only, and passes messages to it in a listener of its own. When a listener that may be that
 * one first runs, the stream to which it pushes gets an `emit` that handles what listeners return.
 */
import { Readable } from 'node:stream'
import type { WebSocket } from 'ws'
import { isStreamListener, isStreamOfWs } from '../base/internals.ts'

type Emit = Readable['emit']

/** Handles what listeners of a stream throw and return. */
export interface StreamPolicy {
  /** Returns whether no more data is to be delivered. */
  muted (): boolean
  threw (error: unknown): void
  returned (result: unknown): void
}

/**
 * Returns a wrapper for a listener of a socket that may be the one by which ws passes messages to a stream: it isolates the stream at
 * its first call. Any other listener is returned as it is.
 */
export function wrapStreamListener (socket: WebSocket, type: 'message' | 'close', listener: Function, policyOf: (socket: WebSocket) => StreamPolicy | null): Function {
  // `once` wraps its listener.
  const inner = (listener as { listener?: Function } | null)?.listener ?? listener
  if (!isStreamListener(inner, type)) return listener
  let first = true
  return function (this: unknown, ...args: unknown[]): unknown {
    const policy = first ? policyOf(socket) : null
    first = false
    return policy === null ? Reflect.apply(listener, this, args) : isolatePushed(policy, () => Reflect.apply(listener, this, args) as unknown)
  }
}

/** Isolates the stream over a socket to which `call` pushes, if there is one. */
function isolatePushed (policy: StreamPolicy, call: () => unknown): unknown {
  const { push } = Readable.prototype
  // A listener of the application may push to other streams first.
  Readable.prototype.push = function (this: Readable, ...pushed: Parameters<typeof push>) {
    if (isStreamOfWs(this)) {
      Readable.prototype.push = push
      isolate(this, policy)
    }
    return Reflect.apply(push, this, pushed)
  }
  try {
    return call()
  } finally {
    Readable.prototype.push = push
  }
}

/** Has a stream call its listeners as EventEmitter does, and handles what they throw and return. */
function isolate (stream: Readable, { muted, threw, returned }: StreamPolicy): void {
  // The listeners of 'message' and of 'close' both push to it.
  if (Object.hasOwn(stream, 'emit')) return
  const { emit } = stream
  stream.emit = function (this: Readable, type: string | symbol, ...args: unknown[]): boolean {
    // Listeners of 'error' are called as ever: the stream has failed. Without one, `emit` throws the error.
    if (type === 'error') {
      try {
        return Reflect.apply(emit, this, [type, ...args]) as boolean
      } catch (error) {
        threw(error)
        return false
      }
    }
    if ((type === 'data' || type === 'readable') && muted()) return false
    const listeners = this.rawListeners(type)
    for (const listener of listeners) {
      try {
        returned(Reflect.apply(listener, this, args))
      } catch (error) {
        threw(error)
      }
    }
    return listeners.length > 0
  } as Emit
}
