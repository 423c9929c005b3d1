/**
 * Isolation of streams over a socket (`createWebSocketStream` of ws): what their listeners throw, at whatever moment, or
 * reject with is a fault of the connection.
 *
 * ws shows such a stream only to its caller, and hands messages over in a listener of its own. While a listener that may be
 * that one runs for the first time, the stream is seen as the one it pushes to, and gets an `emit` that looks at what
 * listeners return. Both are known by what a bundler cannot rename: the listener by the methods it calls, the stream by the
 * methods that ws gives it. Where ws does it in another way, nothing is touched, and streams are as they are without us:
 * Node drops what their listeners return.
 */
import { Readable } from 'node:stream'
import type { WebSocket } from 'ws'
import { isStreamListener, isStreamOfWs } from '../base/internals.ts'

type Emit = Readable['emit']

/** What happens to a listener's throw, and to what it returned. */
export interface StreamPolicy {
  /** Whether nothing more is to be delivered. */
  muted (): boolean
  threw (error: unknown): void
  returned (result: unknown): void
}

/**
 * A listener that is being added to a socket. Where it may be ws's own that hands messages to a stream, what is returned in
 * its place isolates the stream when it is called first; any other listener is returned as it is.
 */
export function withStream (socket: WebSocket, type: 'message' | 'close', listener: Function, policyOf: (socket: WebSocket) => StreamPolicy | null): Function {
  // One of `once` has the listener inside.
  const inner = (listener as { listener?: Function } | null)?.listener ?? listener
  if (!isStreamListener(inner, type)) return listener
  let first = true
  return function (this: unknown, ...args: unknown[]): unknown {
    const policy = first ? policyOf(socket) : null
    first = false
    return policy === null ? Reflect.apply(listener, this, args) : seeStream(policy, () => Reflect.apply(listener, this, args) as unknown)
  }
}

/** Isolates the stream over a socket that `call` pushes to, if it does. */
function seeStream (policy: StreamPolicy, call: () => unknown): unknown {
  const { push } = Readable.prototype
  // A listener of the application may push to streams of its own: they are none of ours.
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

/** Calls the listeners of a stream as EventEmitter does, and looks at what they return. */
function isolate (stream: Readable, { muted, threw, returned }: StreamPolicy): void {
  // Its listeners for 'message' and for 'close' both lead here.
  if (Object.hasOwn(stream, 'emit')) return
  const { emit } = stream
  stream.emit = function (this: Readable, type: string | symbol, ...args: unknown[]): boolean {
    // Without a listener an error is thrown; with one the stream is as good as dead, and its maker knows.
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
