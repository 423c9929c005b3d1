/**
 * Overrides of ws sockets that report events to the connection and isolate the errors of listeners. Commands to a socket are in
 * transport.ts.
 *
 * A subclass of the server's own WebSocket class (never of a second import of ws) overrides `emit`. So a ws socket has no listener of
 * ours that `removeAllListeners()` could remove; the raw socket has one. Sockets that exist already get the overrides as own
 * properties.
 */
import { errorMonitor } from 'node:events'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { isThenable } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { applicationCause, fault } from '../connection/faults.ts'
import { pongReceived } from '../connection/liveness.ts'
import { connectionOf, kConnection } from '../connection/of-socket.ts'
import { traceMessage } from '../connection/tracing.ts'
import { unwrapListener, wrapListener } from './event-listeners.ts'
import { answersPing } from './frames.ts'
import { handleResult, onListenerResult } from './listener-results.ts'
import { endOnce, endTcp, isServerCode } from './tcp-end.ts'
import { wrapStreamListener } from './streams.ts'
import type { StreamPolicy } from './streams.ts'
import { findOwner, inheritedMethods, isOverridden, kClose, replaceableMethods } from './replaced-methods.ts'
import { countSent, kBase, kSend, refuseSend } from './writes.ts'
import { bytesInSender, closeFrameReceived, closeFrameSent, OWN_METHOD, peerCode, peerReason, pongsWait, rawSocketOf, receiverOf, takePongLimit } from '../base/internals.ts'

const kClients = Symbol('fastify-websocket-lifecycle.clients')
const kStreamed = Symbol('fastify-websocket-lifecycle.streamed')
const kCode = Symbol('fastify-websocket-lifecycle.code')

/** Our properties of a socket. */
interface Marks {
  [kConnection]?: ManagedConnection
  /** `clients` of its server. */
  [kClients]?: Set<WebSocket>
  /** There is a stream over it. */
  [kStreamed]?: true
  /** Code of our close frame, if clients rarely send it first. */
  [kCode]?: number
}

type AttachedRawSocket = Socket & { [kConnection]?: ManagedConnection | undefined }

/** Keys of the methods of ws below the overrides. */
export const kPause = Symbol('fastify-websocket-lifecycle.pause')
export const kResume = Symbol('fastify-websocket-lifecycle.resume')

/** A ws socket with the overrides. */
export type TrackedSocket = WebSocket & Marks & { [kPause]: () => void, [kResume]: () => void }

type WebSocketClass = new (...args: never[]) => WebSocket

const ON_ATTRIBUTES = ['onopen', 'onmessage', 'onerror', 'onclose'] as const

/** Handles events without a listener. */
export interface SocketPolicy {
  /** A message arrived without a listener. */
  unheard (connection: ManagedConnection): void
  /** An 'error' event was emitted without a listener. */
  unheardError (connection: ManagedConnection, error: unknown): void
}

/** Attaches a connection to its socket: from now on it is told of all events. */
export function attach (socket: WebSocket, connection: ManagedConnection): void {
  (socket as TrackedSocket)[kConnection] = connection
  takePongLimit(socket)
  const raw = rawSocketOf(socket) as AttachedRawSocket
  raw[kConnection] = connection
  raw.on('close', onRawClose)
}

/** Runs after the 'close' listener of ws. A socket whose receiver was broken by a listener never emits 'close'. */
export function onRawClose (this: AttachedRawSocket): void {
  const connection = this[kConnection]!
  this[kConnection] = undefined
  // ws does this in a listener, which `removeAllListeners()` removes.
  ;(connection.socket as TrackedSocket)[kClients]?.delete(connection.socket)
  connection.rawClosed(connection.socket.readyState === connection.socket.CLOSED)
}

/** Returns a subclass of `Base` with the overrides. */
export function trackedClass (Base: WebSocketClass, policy: SocketPolicy, clients: Set<WebSocket> | undefined): WebSocketClass {
  const Tracked = class extends Base {}
  Object.defineProperty(Tracked, 'name', { value: Base.name })
  Object.defineProperties(Tracked.prototype, overrides(Base.prototype, policy))
  Object.defineProperty(Tracked.prototype, kClients, { value: clients })
  return Tracked
}

/** Overrides for sockets that exist already, by policy and prototype. */
const adopted = new WeakMap<SocketPolicy, WeakMap<WebSocket, PropertyDescriptorMap>>()

/** Adds the overrides to a socket that exists already. */
export function instrument (socket: WebSocket, policy: SocketPolicy, clients: Set<WebSocket> | undefined): void {
  const base = Object.getPrototypeOf(socket) as WebSocket
  let classes = adopted.get(policy)
  if (classes === undefined) adopted.set(policy, classes = new WeakMap())
  let shared = classes.get(base)
  if (shared === undefined) classes.set(base, shared = overrides(base, policy))
  const own = ownMethods(socket, shared)
  Object.defineProperties(socket, own === null ? shared : overrides(Object.create(base, own) as WebSocket, policy))
  Object.defineProperty(socket, kClients, { value: clients })
}

/** Returns the methods that the socket itself had before it was adopted, which the overrides call. */
function ownMethods (socket: WebSocket, shared: PropertyDescriptorMap): PropertyDescriptorMap | null {
  const names = Object.keys(socket).filter((name) => Object.hasOwn(shared, name))
  return names.length === 0 ? null : Object.fromEntries(names.map((name) => [name, Object.getOwnPropertyDescriptor(socket, name)!]))
}

/** Returns the overrides, shared by all sockets of one class. */
function overrides (base: WebSocket, policy: SocketPolicy): PropertyDescriptorMap {
  const closesItself = isOverridden(base, 'close')
  const inherited = inheritedMethods(base)
  const methods = {
    emit (this: TrackedSocket, type: string | symbol, ...args: unknown[]): boolean {
      const connection = this[kConnection]
      if (connection === undefined) return (base.emit as EventEmitter['emit']).call(this, type, ...args)
      if (type === 'message') return deliverMessage(this, connection, policy, args[0] as Buffer, args[1] as boolean)
      return deliver(this, connection, policy, type, args)
    },
    on (this: TrackedSocket, type: string | symbol, listener: Function): TrackedSocket {
      if (type !== 'message' && type !== 'close') return base.on.call(this, type, listener as () => void) as TrackedSocket
      const seen = wrapStreamListener(this, type, listener, streamPolicy)
      if (seen !== listener) this[kStreamed] = true
      return Reflect.apply(base.on, this, [type, seen]) as TrackedSocket
    },
    send (this: TrackedSocket, ...args: unknown[]): void {
      const connection = this[kConnection]
      if (connection?.suppressed) return refuseSend(args)
      connection?.sending()
      // ws sends nothing on a socket that is not open.
      const open = this.readyState === this.OPEN
      // Looked up at each call: it may be replaced at any time.
      Reflect.apply(base.send, this, args)
      if (connection === undefined) return
      if (open) countSent(connection, args)
      connection.sent()
    },
    close (this: TrackedSocket, code?: number, data?: string | Buffer): void {
      const received = closeFrameReceived(this)
      // An answer to our close frame, which has left ws. `close` of ws would now end our half of TCP and wait for the peer.
      const answered = received && this[kCode] === peerCode(this) && (closeFrameSent(this) || bytesInSender(this) === 0)
      if (received) endOnce(receiverOf(this))
      else this[kConnection]?.sending()
      if (!answered || closesItself) {
        const first = this.readyState === this.OPEN && !received
        if (received) endOnce(rawSocketOf(this))
        inherited.close.call(this, code, data)
        if (first && isServerCode(code)) this[kCode] = code
      }
      reportClose(this, code, data)
      if (answered) endTcp(rawSocketOf(this), this[kStreamed] === true)
    },
    terminate (this: TrackedSocket): void {
      const connection = this[kConnection]
      if (connection !== undefined) connection.socketClosing(applicationCause(connection), 1006, '')
      inherited.terminate.call(this)
    },
    // The socket may be paused for other reasons, too. Streams over a socket call both methods often.
    pause (this: TrackedSocket): void {
      const connection = this[kConnection]
      // A pause would hide the answer to the close frame and the end of TCP. A stream must be able to pause: it would buffer without limit.
      if (connection?.state === 'closing' && this[kStreamed] !== true) return
      connection?.incoming.pause('application')
      inherited.pause.call(this)
    },
    resume (this: TrackedSocket): void {
      const connection = this[kConnection]
      const incoming = connection?.parts.incoming
      incoming?.resume('application')
      if (incoming?.paused !== true) inherited.resume.call(this)
    },
    [kClose]: ((findOwner(base, OWN_METHOD) ?? base) as WebSocket).close,
    [kPause]: inherited.pause,
    [kResume]: inherited.resume,
    addEventListener (this: TrackedSocket, type: string, listener: unknown, options?: object): void {
      (base.addEventListener as (...args: unknown[]) => void).call(this, type, wrapListener(listener, onListenerResult), options)
    },
    removeEventListener (this: TrackedSocket, type: string, listener: unknown): void {
      const remove = base.removeEventListener as (...args: unknown[]) => void
      remove.call(this, type, wrapListener(listener, onListenerResult))
      // Added before the socket was adopted.
      remove.call(this, type, listener)
    }
  }
  const descriptors = Object.getOwnPropertyDescriptors({ ...methods, [kSend]: methods.send, [kBase]: base }) as PropertyDescriptorMap
  for (const name of ON_ATTRIBUTES) {
    const attribute = Object.getOwnPropertyDescriptor(findOwner(base, name)!, name)!
    descriptors[name] = {
      configurable: true,
      enumerable: attribute.enumerable!,
      get (this: TrackedSocket) { return unwrapListener(attribute.get!.call(this)) },
      set: attribute.set!
    }
  }
  Object.assign(descriptors, replaceableMethods({ ...inherited, ...methods } as never))
  for (const descriptor of Object.values(descriptors)) descriptor.configurable = true
  return descriptors
}

/** As `dispatch`, for a message. Two arguments and a plain loop: V8 makes this a third of the plugin's time for a message faster. */
function deliverMessage (socket: TrackedSocket, connection: ManagedConnection, policy: SocketPolicy, data: Buffer, isBinary: boolean): boolean {
  if (!connection.received(data, isBinary)) return false
  const listeners = socket.rawListeners('message') as Function[]
  const trace = listeners.length === 0 ? null : traceMessage(connection, data, isBinary)
  for (let i = 0; i < listeners.length; i++) {
    try {
      const result: unknown = trace === null ? Reflect.apply(listeners[i]!, socket, [data, isBinary]) : trace.call(listeners[i]!, socket, [data, isBinary])
      if (isThenable(result)) handleResult(connection, 'message', result)
    } catch (error) {
      if (!connection.host.isolation) {
        trace?.end()
        throw error
      }
      fault(connection, error)
      // The connection is muted: the other listeners do not get the message. They still get 'close' and 'error'.
      break
    }
  }
  trace?.end()
  const heard = listeners.length > 0
  if (!heard && !connection.consumed) policy.unheard(connection)
  return heard
}

function deliver (socket: TrackedSocket, connection: ManagedConnection, policy: SocketPolicy, type: string | symbol, args: unknown[]): boolean {
  if (type === 'pong' || type === 'ping') {
    connection.heard = true
    if (type === 'ping' && pongsWait(socket, 1)) connection.pongsWait()
    if (type === 'pong' && answersPing(args[0] as Buffer)) pongReceived(connection)
    if (socket.listenerCount(type) === 0) return false
  }
  if (type !== 'close' && type !== 'error') return dispatch(socket, connection, policy, type, args)
  try {
    // The event is emitted in the async context of what ended the socket, such as another request that closed it.
    return connection.callAtEnd(() => dispatch(socket, connection, policy, type, args))
  } finally {
    if (type === 'close') {
      // ws calls no close() for a close frame that its inflater delivers after the end of TCP.
      if (closeFrameReceived(socket)) connection.peerClosing(peerCode(socket), peerReason(socket))
      connection.socketClosed()
    }
  }
}

/** Calls the listeners as EventEmitter does, and handles what they throw and return. Returns whether there was one. */
function dispatch (socket: TrackedSocket, connection: ManagedConnection, policy: SocketPolicy, type: string | symbol, args: unknown[]): boolean {
  const listeners = socket.rawListeners(type as 'message') as Function[]
  if (type === 'error') {
    if (listeners.length === 0 && !connection.host.isolation) throw args[0]
    if (listeners.length === 0) policy.unheardError(connection, args[0])
    listeners.unshift(...socket.rawListeners(errorMonitor as unknown as 'error') as Function[])
  }
  for (const listener of listeners) {
    try {
      handleResult(connection, type, Reflect.apply(listener, socket, args))
    } catch (error) {
      if (!connection.host.isolation) throw error
      fault(connection, error)
    }
  }
  return listeners.length > 0
}

/** Returns a policy that makes faults of a stream those of its connection; null without isolation. */
function streamPolicy (socket: WebSocket): StreamPolicy | null {
  const connection = connectionOf(socket)
  if (connection?.host.isolation !== true) return null
  return {
    muted: () => connection.muted,
    threw: (error) => { fault(connection, error) },
    returned: (result) => { handleResult(connection, 'data', result) }
  }
}

/** Reports a call of `close`: by ws because the peer's close frame arrived or its data was invalid, or by the application. */
function reportClose (socket: TrackedSocket, code: number | undefined, data: string | Buffer | undefined): void {
  const connection = socket[kConnection]
  if (connection === undefined || socket.readyState < socket.CLOSING) return
  if (closeFrameReceived(socket)) connection.peerClosing(peerCode(socket), peerReason(socket))
  else if (receiverOf(socket)?.errored) connection.socketClosing('protocol', code ?? 1006, '')
  else connection.socketClosing(applicationCause(connection), code ?? 1005, data === undefined ? '' : String(data))
}
