/**
 * Wrappers of listeners that are added with `addEventListener` and `on…` attributes, whose return values ws drops.
 *
 * A listener has one wrapper for all sockets: adding it twice, removing it and reading `onmessage` work as before.
 */
import type { WebSocket } from 'ws'

/** Called with what a listener returned. */
type Result = (socket: WebSocket, type: string, result: unknown) => void

interface ListenerObject { handleEvent: (event: unknown) => unknown }

type Wrapper = (this: unknown, event: { target: WebSocket, type: string }) => void

const wrappers = new WeakMap<object, Wrapper>()
const originals = new WeakMap<object, unknown>()

/** Returns the wrapper of a listener; any other value as it is. `onResult` must be the same in all calls. */
export function wrapListener (listener: unknown, onResult: Result): unknown {
  if ((typeof listener !== 'function' && typeof listener !== 'object') || listener === null) return listener
  const known = wrappers.get(listener)
  if (known !== undefined) return known
  const wrapper: Wrapper = function (event) {
    const result: unknown = typeof listener === 'function'
      ? Reflect.apply(listener, this, [event])
      : (listener as ListenerObject).handleEvent(event)
    onResult(event.target, event.type, result)
  }
  wrappers.set(listener, wrapper)
  originals.set(wrapper, listener)
  return wrapper
}

/** Returns the listener of a wrapper; any other value as it is. */
export function unwrapListener (listener: unknown): unknown {
  return typeof listener === 'function' ? originals.get(listener) ?? listener : listener
}
