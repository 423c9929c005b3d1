/**
 * What a `ws` socket does is told to its connection, and what its listeners throw stays here. The other way, from the rooms to
 * the socket, is ws-transport.ts.
 *
 * A subclass of the server's own WebSocket class (never a second import of ws) overrides `emit`, so there is no
 * listener of ours on a ws socket and `removeAllListeners()` cannot blind us; the raw socket has one. Sockets that exist
 * already get the same overrides as own properties. What ws keeps to itself is read through ws-internals.ts.
 */
import { errorMonitor } from 'node:events'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { SOCKETS_ERR_DRAINING } from '../base/errors.ts'
import { isThenable } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { applicationCause, fault } from '../connection/faults.ts'
import { pongReceived } from '../connection/liveness.ts'
import { connectionOf, kConnection } from '../connection/of-socket.ts'
import { unwrapListener, wrapListener } from './event-listeners.ts'
import { answersPing } from './frames.ts'
import { endOnce, hangUp, isOurs } from './hang-up.ts'
import { withStream } from './streams.ts'
import type { StreamPolicy } from './streams.ts'
import { inheritedMethods, kClose, replaceableMethods } from './replaced-methods.ts'
import { kBase, kSend } from './writes.ts'
import { bytesInSender, closeFrameReceived, closeFrameSent, OWN_METHOD, peerCode, peerReason, pongsWait, rawSocketOf, receiverOf, takePongLimit } from '../base/internals.ts'

const kClients = Symbol('fastify-websocket-lifecycle.clients')
const kStreamed = Symbol('fastify-websocket-lifecycle.streamed')
const kCode = Symbol('fastify-websocket-lifecycle.code')

/** What we keep with a socket. */
interface Marks {
  [kConnection]?: ManagedConnection
  /** The set of its server that it is in. */
  [kClients]?: Set<WebSocket>
  /** A stream is over it. */
  [kStreamed]?: true
  /** Code of our close frame, where a client hardly sends it by itself. */
  [kCode]?: number
}

type AttachedRawSocket = Socket & { [kConnection]?: ManagedConnection | undefined }

/** The methods of ws below the overrides. */
export const kPause = Symbol('fastify-websocket-lifecycle.pause')
export const kResume = Symbol('fastify-websocket-lifecycle.resume')

/** A socket as this file sees it. */
export type TrackedSocket = WebSocket & Marks & { [kPause]: () => void, [kResume]: () => void }

type WebSocketClass = new (...args: never[]) => WebSocket

const ON_ATTRIBUTES = ['onopen', 'onmessage', 'onerror', 'onclose'] as const

/** What is done with the sockets of one tracker. */
export interface SocketPolicy {
  /** A message arrived without a listener. */
  unheard (connection: ManagedConnection): void
  /** An 'error' event was emitted without a listener. */
  unheardError (connection: ManagedConnection, error: unknown): void
}

/** Ties a socket and its connection together; from here on the connection is told everything. */
export function attach (socket: WebSocket, connection: ManagedConnection): void {
  (socket as TrackedSocket)[kConnection] = connection
  takePongLimit(socket)
  const raw = rawSocketOf(socket) as AttachedRawSocket
  raw[kConnection] = connection
  raw.on('close', onRawClose)
}

/** After the 'close' listener of ws. A receiver that a thrown listener has broken never emits 'close' on its socket. */
export function onRawClose (this: AttachedRawSocket): void {
  const connection = this[kConnection]!
  this[kConnection] = undefined
  // ws does so in a listener, which `removeAllListeners()` takes away.
  ;(connection.socket as TrackedSocket)[kClients]?.delete(connection.socket)
  connection.rawClosed(connection.socket.readyState === connection.socket.CLOSED)
}

/** A subclass of `Base` whose sockets tell their connection what they do. */
export function trackedClass (Base: WebSocketClass, policy: SocketPolicy, clients: Set<WebSocket> | undefined): WebSocketClass {
  const Tracked = class extends Base {}
  Object.defineProperty(Tracked, 'name', { value: Base.name })
  Object.defineProperties(Tracked.prototype, overrides(Base.prototype, policy))
  Object.defineProperty(Tracked.prototype, kClients, { value: clients })
  return Tracked
}

/** Overrides of sockets that existed already, by policy and by what they inherit from. */
const adopted = new WeakMap<SocketPolicy, WeakMap<WebSocket, PropertyDescriptorMap>>()

/** Gives a socket that exists already the same overrides. */
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

/** Methods that were put on the socket itself before it was adopted: the overrides call them. */
function ownMethods (socket: WebSocket, shared: PropertyDescriptorMap): PropertyDescriptorMap | null {
  const names = Object.keys(socket).filter((name) => Object.hasOwn(shared, name))
  return names.length === 0 ? null : Object.fromEntries(names.map((name) => [name, Object.getOwnPropertyDescriptor(socket, name)!]))
}

/** The overrides, shared by all sockets of one class. */
function overrides (base: WebSocket, policy: SocketPolicy): PropertyDescriptorMap {
  const closesItself = isTheirs(base, 'close')
  const inherited = inheritedMethods(base, (name) => isTheirs(base, name))
  const methods = {
    emit (this: TrackedSocket, type: string | symbol, ...args: unknown[]): boolean {
      const connection = this[kConnection]
      if (connection === undefined) return (base.emit as EventEmitter['emit']).call(this, type, ...args)
      return deliver(this, connection, policy, type, args)
    },
    on (this: TrackedSocket, type: string | symbol, listener: Function): TrackedSocket {
      if (type !== 'message' && type !== 'close') return base.on.call(this, type, listener as () => void) as TrackedSocket
      const seen = withStream(this, type, listener, streamPolicy)
      if (seen !== listener) this[kStreamed] = true
      return Reflect.apply(base.on, this, [type, seen]) as TrackedSocket
    },
    send (this: TrackedSocket, ...args: unknown[]): void {
      const connection = this[kConnection]
      if (connection?.suppressed) return refuseSend(args)
      connection?.sending()
      // Looked up at each call: it may be wrapped at any time.
      Reflect.apply(base.send, this, args)
      connection?.sent()
    },
    close (this: TrackedSocket, code?: number, data?: string | Buffer): void {
      const peerToo = closeFrameReceived(this)
      // An answer to ours, which has left ws: it would end TCP now, and wait for the peer to do so.
      const answered = peerToo && this[kCode] === peerCode(this) && (closeFrameSent(this) || bytesInSender(this) === 0)
      if (peerToo) endOnce(receiverOf(this))
      else this[kConnection]?.sending()
      if (!answered || closesItself) {
        const first = this.readyState === this.OPEN && !peerToo
        if (peerToo) endOnce(rawSocketOf(this))
        inherited.close.call(this, code, data)
        if (first && isOurs(code)) this[kCode] = code
      }
      noticeClose(this, code, data)
      if (answered) hangUp(rawSocketOf(this), this[kStreamed] === true)
    },
    terminate (this: TrackedSocket): void {
      const connection = this[kConnection]
      if (connection !== undefined) connection.socketClosing(applicationCause(connection), 1006, '')
      inherited.terminate.call(this)
    },
    // One reason among others: neither ends the other's pause. Streams over a socket call both, as often as they are read.
    pause (this: TrackedSocket): void {
      const connection = this[kConnection]
      // It would hide the answer to the close frame, and the end of TCP. A stream asks for it so as not to hold what it is given.
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

/** One for all trackers: a listener function may serve the sockets of several. */
function onListenerResult (socket: WebSocket, type: string, result: unknown): void {
  const connection = connectionOf(socket)
  if (connection !== undefined) keep(connection, type, result)
}

function deliver (socket: TrackedSocket, connection: ManagedConnection, policy: SocketPolicy, type: string | symbol, args: unknown[]): boolean {
  if (type === 'message') {
    if (!connection.received(args[0] as Buffer, args[1] as boolean)) return false
    const heard = dispatch(socket, connection, policy, type, args)
    if (!heard && !connection.consumed) policy.unheard(connection)
    return heard
  }
  if (type === 'pong' || type === 'ping') {
    connection.heard = true
    if (type === 'ping' && pongsWait(socket, 1)) connection.pongsWait()
    if (type === 'pong' && answersPing(args[0] as Buffer)) pongReceived(connection, connection.host.clock.now())
    if (socket.listenerCount(type) === 0) return false
  }
  if (type !== 'close' && type !== 'error') return dispatch(socket, connection, policy, type, args)
  try {
    // Emitted in the context of what ended the socket: another request, maybe, that has closed it or written to it.
    return connection.callAtEnd(() => dispatch(socket, connection, policy, type, args))
  } finally {
    if (type === 'close') {
      // A close frame that came out of the inflater after TCP had ended: ws calls no close() for it.
      if (closeFrameReceived(socket)) connection.peerClosing(peerCode(socket), peerReason(socket))
      connection.socketClosed()
    }
  }
}

/** Calls the listeners as EventEmitter does, and looks at what they return. Says whether there was one. */
function dispatch (socket: TrackedSocket, connection: ManagedConnection, policy: SocketPolicy, type: string | symbol, args: unknown[]): boolean {
  const listeners = socket.rawListeners(type as 'message') as Function[]
  if (type === 'error') {
    if (listeners.length === 0 && !connection.host.isolation) throw args[0]
    if (listeners.length === 0) policy.unheardError(connection, args[0])
    listeners.unshift(...socket.rawListeners(errorMonitor as unknown as 'error') as Function[])
  }
  for (const listener of listeners) {
    try {
      keep(connection, type, Reflect.apply(listener, socket, args))
    } catch (error) {
      if (!connection.host.isolation) throw error
      fault(connection, error)
      // Mute: the frame is not shown to the listeners that are left. 'close' and 'error' are for everyone.
      if (type === 'message') break
    }
  }
  return listeners.length > 0
}

/** Faults of a stream are those of its connection; null where they are left alone. */
function streamPolicy (socket: WebSocket): StreamPolicy | null {
  const connection = connectionOf(socket)
  if (connection?.host.isolation !== true) return null
  return {
    muted: () => connection.muted,
    threw: (error) => { fault(connection, error) },
    returned: (result) => { keep(connection, 'data', result) }
  }
}

/**
 * What a listener returned: the promise of a message listener is work, that of a close listener is a cleanup, and a
 * rejection of any is a fault of its connection.
 */
function keep (connection: ManagedConnection, type: string | symbol, result: unknown): void {
  if (!isThenable(result)) return
  // Looking at a promise takes its rejection: without isolation it must reach the process, as it does without us.
  const failed = (error: unknown) => { if (connection.host.isolation) fault(connection, error); else void Promise.reject(error) }
  if (type === 'message') connection.work.hold(result, failed)
  else if (type === 'close') connection.defer(function closeListener () { return Promise.resolve(result).then(undefined, failed) })
  else Promise.resolve(result).then(undefined, failed)
}

/** `close` was called: by ws because the peer's frame arrived or was broken, or by the application. */
function noticeClose (socket: TrackedSocket, code: number | undefined, data: string | Buffer | undefined): void {
  const connection = socket[kConnection]
  if (connection === undefined || socket.readyState < socket.CLOSING) return
  if (closeFrameReceived(socket)) connection.peerClosing(peerCode(socket), peerReason(socket))
  else if (receiverOf(socket)?.errored) connection.socketClosing('protocol', code ?? 1006, '')
  else connection.socketClosing(applicationCause(connection), code ?? 1005, data === undefined ? '' : String(data))
}

/** As ws answers a `send` on a socket that is closing: the callback, where there is one, gets an error. */
function refuseSend (args: unknown[]): void {
  const done = args.at(-1)
  if (typeof done === 'function') process.nextTick(done, new SOCKETS_ERR_DRAINING())
}

/** Whether a class of the application's own has a method of its own: that is to be called, too. */
function isTheirs (base: WebSocket, method: string): boolean {
  return findOwner(base, method) !== findOwner(base, OWN_METHOD)
}

/** Which in the chain of prototypes has it. */
function findOwner (object: object | null, name: string): object | null {
  while (object !== null && !Object.hasOwn(object, name)) object = Object.getPrototypeOf(object) as object | null
  return object
}
