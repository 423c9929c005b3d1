/**
 * Methods of a socket that ws or this package calls, and that an application may replace: in a class of its own
 * (`options.WebSocket`) or on one socket. What such a method throws or rejects with is a fault of its connection. Inside ws it would
 * break the receiver and end the process.
 */
import type { WebSocket } from 'ws'
import { attempt } from '../base/guard.ts'
import { fault } from '../connection/faults.ts'
import { connectionOf } from '../connection/of-socket.ts'
import { OWN_METHOD, rawSocketOf } from '../base/internals.ts'

type Method = (this: WebSocket, ...args: unknown[]) => unknown

/** Key of the `close` of ws itself, below all replacements. */
export const kClose = Symbol('fastify-websocket-lifecycle.close')

/** What is done when a method fails. */
const FALLBACKS: Record<string, (socket: WebSocket & { [kClose]?: Method }, args: unknown[]) => void> = {
  // The client gets its code, unless the method failed after it had closed.
  close: (socket, args) => { if (socket.readyState === socket.OPEN) socket[kClose]?.(...args) },
  terminate: (socket) => { rawSocketOf(socket).destroy() },
  ping: () => {},
  pong: () => {},
  pause: () => {},
  resume: () => {}
}

/** Sockets of which one failure was reported. A close calls a method several times. */
const reported = new WeakSet<WebSocket>()

/** Methods that are guarded. */
const guarded = new WeakSet<Method>()

/** Returns whether a class of the application overrides a method of ws. */
export function isOverridden (base: WebSocket, method: string): boolean {
  return findOwner(base, method) !== findOwner(base, OWN_METHOD)
}

/** Returns the first object of a chain of prototypes that has a property. */
export function findOwner (object: object | null, name: string): object | null {
  while (object !== null && !Object.hasOwn(object, name)) object = Object.getPrototypeOf(object) as object | null
  return object
}

/** Returns the methods that a class of sockets inherits. Those that the application overrides are guarded. */
export function inheritedMethods (base: WebSocket): Pick<WebSocket, 'close' | 'terminate' | 'ping' | 'pong' | 'pause' | 'resume'> {
  const entries = Object.keys(FALLBACKS).map((name) => {
    const method = base[name as 'close'] as Method
    return [name, isOverridden(base, name) ? guardMethod(name, method) : method]
  })
  return Object.fromEntries(entries) as ReturnType<typeof inheritedMethods>
}

/** Returns properties for a class of sockets that guard a method when it is assigned to a socket. */
export function replaceableMethods (methods: Record<string, Method>): PropertyDescriptorMap {
  const descriptors: PropertyDescriptorMap = {}
  for (const name of Object.keys(FALLBACKS)) {
    const method = methods[name]!
    descriptors[name] = {
      configurable: true,
      get: () => method,
      set (this: WebSocket, replacement: unknown) {
        const value = typeof replacement === 'function' && replacement !== method ? guardMethod(name, replacement as Method) : replacement
        Object.defineProperty(this, name, { configurable: true, enumerable: true, writable: true, value })
      }
    }
  }
  return descriptors
}

/** Guards methods that were not assigned to a socket, but are fields of its class or were added by `Object.defineProperty`. */
export function guardFields (socket: WebSocket): void {
  for (const name of Object.keys(FALLBACKS)) {
    if (!Object.hasOwn(socket, name)) continue
    const method: unknown = socket[name as 'close']
    if (guarded.has(method as Method)) continue
    if (Reflect.deleteProperty(socket, name)) Reflect.set(socket, name, method)
  }
}

/** Returns a proxy of a method, so that the properties of a mock can still be read. */
function guardMethod (name: string, method: Method): Method {
  const proxy = new Proxy(method, {
    apply: (_method, socket: WebSocket, args: unknown[]) => attempt(() => Reflect.apply(method, socket, args), (error) => {
      const connection = connectionOf(socket)
      if (connection === undefined) throw error
      if (!reported.has(socket)) {
        reported.add(socket)
        fault(connection, error)
      }
      attempt(() => { FALLBACKS[name]!(socket, args) }, () => {})
    })
  })
  guarded.add(proxy)
  return proxy
}
