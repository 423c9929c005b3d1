/**
 * Listeners added with `addEventListener` and `on…` attributes: ws drops what they return, so they are wrapped.
 *
 * One wrapper a listener, for all sockets: adding one twice, removing it and reading `onmessage` work as before.
 */
import type { WebSocket } from 'ws'

/** Gets what a listener returned. */
type Result = (socket: WebSocket, type: string, result: unknown) => void

interface ListenerObject { handleEvent: (event: unknown) => unknown }

type Wrapper = (this: unknown, event: { target: WebSocket, type: string }) => void

const wrappers = new WeakMap<object, Wrapper>()
const originals = new WeakMap<object, unknown>()

/** The wrapper of a listener, with the same `onResult` for all; whatever is no listener is returned as it is. */
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

/** The listener behind a wrapper. */
export function unwrapListener (listener: unknown): unknown {
  return typeof listener === 'function' ? originals.get(listener) ?? listener : listener
}
