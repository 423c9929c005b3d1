/**
 * Methods of a socket that ws or this package calls by itself and that an application may have replaced: in a class of its
 * own (`options.WebSocket`), or on one socket. What such a method throws or rejects with is a fault of its connection; thrown
 * inside ws it would break the receiver and reach the process.
 */
import type { WebSocket } from 'ws'
import { attempt } from '../base/guard.ts'
import { fault } from '../connection/faults.ts'
import { connectionOf } from '../connection/of-socket.ts'
import { rawSocketOf } from '../base/internals.ts'

type Method = (this: WebSocket, ...args: unknown[]) => unknown

/** `close` of ws itself, below all replacements. */
export const kClose = Symbol('fastify-websocket-lifecycle.close')

/** What is done where a method fails. */
const INSTEAD: Record<string, (socket: WebSocket & { [kClose]?: Method }, args: unknown[]) => void> = {
  // The client gets its code all the same, unless the method failed after it closed.
  close: (socket, args) => { if (socket.readyState === socket.OPEN) socket[kClose]?.(...args) },
  terminate: (socket) => { rawSocketOf(socket).destroy() },
  ping: () => {},
  pong: () => {},
  pause: () => {},
  resume: () => {}
}

/** Sockets of which one failure was reported: the method is called several times in a close. */
const reported = new WeakSet<WebSocket>()

/** Methods that never throw. */
const guarded = new WeakSet<Method>()

/** The methods a class of sockets inherits; those of the application's own class, which `isTheirs` tells, never throw. */
export function inheritedMethods (base: WebSocket, isTheirs: (name: string) => boolean): Pick<WebSocket, 'close' | 'terminate' | 'ping' | 'pong' | 'pause' | 'resume'> {
  const entries = Object.keys(INSTEAD).map((name) => {
    const method = base[name as 'close'] as Method
    return [name, isTheirs(name) ? guardMethod(name, method) : method]
  })
  return Object.fromEntries(entries) as ReturnType<typeof inheritedMethods>
}

/** Properties for a class of sockets by which one that is put in the place of a method on one socket never throws. */
export function replaceableMethods (methods: Record<string, Method>): PropertyDescriptorMap {
  const descriptors: PropertyDescriptorMap = {}
  for (const name of Object.keys(INSTEAD)) {
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

/** Guards methods that were defined on a socket, not assigned: fields of its class, or by `Object.defineProperty`. */
export function guardFields (socket: WebSocket): void {
  for (const name of Object.keys(INSTEAD)) {
    if (!Object.hasOwn(socket, name)) continue
    const method: unknown = socket[name as 'close']
    if (guarded.has(method as Method)) continue
    if (Reflect.deleteProperty(socket, name)) Reflect.set(socket, name, method)
  }
}

/** A proxy: a mock is asked for its calls where it stands. */
function guardMethod (name: string, method: Method): Method {
  const proxy = new Proxy(method, {
    apply: (_method, socket: WebSocket, args: unknown[]) => attempt(() => Reflect.apply(method, socket, args), (error) => {
      const connection = connectionOf(socket)
      if (connection === undefined) throw error
      if (!reported.has(socket)) {
        reported.add(socket)
        fault(connection, error)
      }
      attempt(() => { INSTEAD[name]!(socket, args) }, () => {})
    })
  })
  guarded.add(proxy)
  return proxy
}
