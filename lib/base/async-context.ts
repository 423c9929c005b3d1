/**
 * The async context (`AsyncLocalStorage`) in which code of a connection runs once its handler has returned: none.
 *
 * A timer, a promise or a call hands its caller's context on. One connection's close may be caused by another's request (an
 * eviction, a disconnect, a drain) or by a tick that another one armed; its listeners and cleanups must not see that context,
 * and a tick must not keep it alive.
 */
import { AsyncResource } from 'node:async_hooks'

// Made at import, before any request: what it captures is the context of the program, usually none.
const none = new AsyncResource('fastify-websocket-lifecycle')

/** Calls a function outside of its caller's async context. */
export function outside<T> (call: () => T): T {
  return none.runInAsyncScope(call)
}
