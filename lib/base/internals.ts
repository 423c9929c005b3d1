/**
 * Private parts of other packages: every field, symbol or source text of ws, Node.js, Fastify and its plugins that they do not
 * document and this package reads or replaces. No other file touches one.
 *
 * Each entry says why the part is needed, in which version it was seen (Node.js: 20.20 to 26.10), and what happens without it:
 * the function then returns the value with which its callers go on as ws or Node.js does alone.
 */
import type { Buffer } from 'node:buffer'
import http from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex, Readable, Writable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { WebSocket } from 'ws'
import { encodesAlike } from './frame.ts'
import { LISTENERS } from './listeners.ts'

/** Private fields of a socket of ws. */
interface WsFields {
  _socket: Socket
  _sender: Sender
  _receiver: Writable & { _extensions?: object }
  _extensions: object
  _closeFrameSent: boolean
  _closeFrameReceived: boolean
  _closeCode: number
  _closeMessage: Buffer
  _pendingAutoPongs: number
  _maxPendingAutoPongs: number
}

interface Sender {
  _state: number
  _queue: unknown[]
  _firstFragment: boolean
  _extensions: Record<string, unknown>
  _bufferedBytes?: number
  constructor: { frame?: (data: Buffer, options: object) => Buffer[] }
}

/** Private fields of a socket of Node.js. */
interface NodeFields {
  server?: Server
  parser?: { incoming?: IncomingMessage | null } | null
  _httpMessage?: ServerResponse | null
  _parent?: Socket
  _peername?: object | null
  _writableState?: { writing?: boolean, writelen?: number }
  _handle?: { bytesWritten?: number, writeQueueSize?: number } | null
}

const wsFields = (socket: WebSocket) => socket as WebSocket & Partial<WsFields>
const nodeFields = (stream: object) => stream as NodeFields
const sourceOf = (call: Function): string => Function.prototype.toString.call(call)

function symbolIn (object: object, description: string): unknown {
  const key = Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description)
  return key === undefined ? undefined : (object as Record<symbol, unknown>)[key]
}

/** Keeps what a check says of a class or function. The latest that passed comes first: each message asks. */
function remember<T> (check: (key: object, example: T) => boolean): typeof check {
  const answers = new WeakMap<object, boolean>()
  let latest: object | null = null
  return (key, example) => {
    if (key === latest) return true
    let answer = answers.get(key)
    if (answer === undefined) answers.set(key, answer = check(key, example))
    if (answer) latest = key
    return answer
  }
}

// ——— ws

/** Returns the raw socket of a WebSocket; every close, pause and count needs it.
 *  ws 8.23.0, `_socket`. Without it: `trackServer` throws SOCKETS_ERR_CANNOT_ADOPT for the socket. */
export function rawSocketOf (socket: WebSocket): Socket { return wsFields(socket)._socket! }

/** Returns the parser of what the peer sends, to see input that is not parsed yet and errors of the protocol.
 *  ws 8.23.0, `_receiver`. Without it: no such input is waited for, and a protocol error is told as a close by the application. */
export function receiverOf (socket: WebSocket): Writable | undefined { return wsFields(socket)._receiver }

/** Returns whether our close frame has left ws, which is when the peer's time to answer begins.
 *  ws 8.23.0, `_closeFrameSent`. Without it: the frame has left when no sent data is pending. */
export function closeFrameSent (socket: WebSocket): boolean { return wsFields(socket)._closeFrameSent === true }

/** Returns whether the peer's close frame has arrived, to tell its close from one of the application.
 *  ws 8.23.0, `_closeFrameReceived`. Without it: a close by the peer is told as one by the application. */
export function closeFrameReceived (socket: WebSocket): boolean { return wsFields(socket)._closeFrameReceived === true }

/** Returns the code of the peer's close frame before ws emits 'close'.
 *  ws 8.23.0, `_closeCode`. Without it: 1005, no code (RFC 6455 §7.1.5). */
export function peerCode (socket: WebSocket): number { return wsFields(socket)._closeCode ?? 1005 }

/** Returns the reason of the peer's close frame before ws emits 'close'.
 *  ws 8.23.0, `_closeMessage`. Without it: an empty reason. */
export function peerReason (socket: WebSocket): string { return String(wsFields(socket)._closeMessage ?? '') }

/** Returns the bytes that ws has not handed to the raw socket yet, because they are being compressed.
 *  ws 8.23.0, `_sender._bufferedBytes`. Without it: 0, and the limits of backpressure see those bytes later. */
export function bytesInSender (socket: WebSocket): number { return wsFields(socket)._sender?._bufferedBytes ?? 0 }

/** Returns whether a frame that is written to the raw socket now follows all that was sent before: one frame then serves all
 *  receivers of a broadcast, and a ping costs no call of ws.
 *  ws 8.23.0, `_sender` with `_state` and `_queue`. Without it: false; messages and pings go through ws. */
export function isDirect (socket: WebSocket): boolean {
  const { _sender: sender, _socket: raw } = wsFields(socket)
  return sender !== undefined && raw !== undefined && isKnown(sender.constructor, sender) && sender._state === 0 && sender._queue.length === 0 && socket.readyState === socket.OPEN
}

/** Returns whether the application is in the middle of a fragmented message, inside which no other may be sent (RFC 6455 §5.4).
 *  ws 8.23.0, `_sender._firstFragment`. Without it: false; a broadcast goes through ws. */
export function isMidMessage (socket: WebSocket): boolean {
  const { _sender: sender } = wsFields(socket)
  return sender !== undefined && isKnown(sender.constructor, sender) && !sender._firstFragment
}

/** Returns whether permessage-deflate was negotiated (RFC 7692 §7): ws must compress such messages.
 *  ws 8.23.0, `_sender._extensions`. Without it: false; `isDirect` is false then, too. */
export function compresses (socket: WebSocket): boolean {
  return wsFields(socket)._sender?._extensions?.['permessage-deflate'] !== undefined
}

/** Whether the senders of a class are as described here. */
const isKnown = remember((_class: object, sender: Sender) => hasParts(sender) && encodesAlike(sender.constructor.frame))

function hasParts ({ _state: state, _queue: queue, _firstFragment: first, _extensions: extensions }: Sender): boolean {
  return typeof state === 'number' && Array.isArray(queue) && typeof first === 'boolean' && typeof extensions === 'object'
}

/** Returns whether a method is the `send` of ws, so that a broadcast may go past it. A method that replaced it before this package
 *  was loaded can only be told by its source: that of ws names an error and calls its sender, also when minified.
 *  ws 8.23.0, the source of `send`. Without it: false; a broadcast goes through `send`. */
export function isSendOfWs (send: unknown): boolean { return typeof send === 'function' && isSend(send, send) }

const isSend = remember((_send: object, send: Function) => ['WebSocket is not open', '_sender.send('].every((text) => sourceOf(send).includes(text)))

/** Disables the limit of ws on pending automatic pongs and keeps its value, as a negative number. ws counts the pongs of one read
 *  before it can send any of them, and so ends healthy peers after a stall.
 *  ws 8.23.0, `_maxPendingAutoPongs`. Without it: nothing is changed. */
export function takePongLimit (socket: WebSocket): void {
  const fields = wsFields(socket)
  if ((fields._maxPendingAutoPongs ?? 0) > 0) fields._maxPendingAutoPongs = -fields._maxPendingAutoPongs!
}

/** Returns whether `times` as many automatic pongs are pending as that limit allows.
 *  ws 8.23.0, `_pendingAutoPongs`. Without it: false; ws sends pongs without a limit or by its own. */
export function pongsWait (socket: WebSocket, times: number): boolean {
  const { _pendingAutoPongs: pending = 0, _maxPendingAutoPongs: max = 0 } = wsFields(socket)
  return max < 0 && pending >= -max * times
}

const NO_EXTENSIONS = Object.freeze({})

/** Has a socket, its sender and its receiver share one empty object where no extension was negotiated (RFC 6455 §9): 56 bytes each.
 *  ws 8.23.0, `_extensions`. Without it: nothing is changed. */
export function shareExtensions (socket: WebSocket): void {
  const fields = wsFields(socket)
  const { _extensions: extensions, _sender: sender, _receiver: receiver } = fields
  if (extensions === undefined || sender?._extensions !== extensions || receiver?._extensions !== extensions || Object.keys(extensions).length > 0) return
  fields._extensions = sender._extensions = receiver._extensions = NO_EXTENSIONS
}

/** A method that only the class of ws itself defines (8.23.0). Without it: every method counts as one of the application. */
export const OWN_METHOD = 'setSocket'

/** Returns the listener that was given to `addEventListener`, which ws wraps, so that the application can find it in a list.
 *  ws 8.23.0, the symbol `kListener`. Without it: the listener that is on the socket. */
export function givenListener (listener: Function): Function { return (symbolIn(listener, 'kListener') ?? listener) as Function }

/** A message is pushed, and a full stream pauses the socket; at the close the stream ends. */
const STREAM_CALLS = { message: /\.push\([^]*\.pause\(/, close: /\.push\(null\)/ }

/** Returns whether a listener may be the one by which `createWebSocketStream` hands messages over, or the end, to isolate the
 *  stream's own listeners. Bundlers do not rename the methods that it calls.
 *  ws 8.23.0, the source of these listeners. Without it: false; the stream behaves as without this package. */
export function isStreamListener (listener: unknown, type: 'message' | 'close'): boolean {
  return typeof listener === 'function' && STREAM_CALLS[type].test(sourceOf(listener))
}

/** Returns whether a stream is one of `createWebSocketStream`, and not one of the application to which its listener pushes.
 *  ws 8.23.0, methods that it defines on the stream itself. Without it: false, as above. */
export function isStreamOfWs (stream: Readable): boolean {
  return ['_read', '_write', '_final', '_destroy'].every((method) => Object.hasOwn(stream, method))
}

const WS_LISTENER = /^\(([\w$]+),([\w$]+),([\w$]+)\)=>\{?this\.handleUpgrade\(\1,\2,\3,[\w$]+\);?\}?$/

/** Returns whether an 'upgrade' listener is that of a ws server with the option `server`, which answers all paths but its own with
 *  400.
 *  ws 8.23.0, the source of the listener. Without it: false; the listener is called for the application's routes. */
export function isWsListener (listener: Function): boolean { return WS_LISTENER.test(sourceOf(listener).replace(/\s/g, '')) }

// ——— Node.js

/** Returns the response that is being written to a raw socket: an upgrade waits for earlier answers, and a kept-alive connection is
 *  closed after its last.
 *  Node.js, `_httpMessage`. Without it: undefined; an upgrade does not wait. */
export function responseOn (raw: Duplex): ServerResponse | undefined { return nodeFields(raw)._httpMessage ?? undefined }

/** Takes a response off its raw socket, which holds it otherwise for as long as the WebSocket lives, and puts `instead` there.
 *  Terminators such as http-terminator destroy a socket without a response as idle.
 *  Node.js, `ServerResponse.detachSocket` and `_httpMessage`. Without it: nothing is changed, and the response stays in memory. */
export function replaceResponse (response: ServerResponse, raw: Socket, instead: object): void {
  if (typeof response.detachSocket !== 'function') return
  response.detachSocket(raw)
  nodeFields(raw)._httpMessage = instead as ServerResponse
}

/** Returns the request that is under way on a raw socket: null when there is none, undefined where Node.js parses no HTTP/1.
 *  No event tells as much: 'request' is not emitted for what 'checkContinue' and 'checkExpectation' listeners answer.
 *  Node.js, `parser.incoming`. Without it: undefined; no idle connection is closed early. */
export function requestOn (raw: Duplex): IncomingMessage | null | undefined { return nodeFields(raw).parser?.incoming }

/** Returns the server that has accepted a raw socket: for 'localhost' Fastify opens several, whose 'upgrade' events are one.
 *  Node.js, `server`. Without it: undefined; the main server is taken. */
export function serverOf (raw: Duplex): Server | undefined { return nodeFields(raw).server }

/** Has a server read HTTP/1 from a socket. To emit 'connection' instead would show its other listeners one connection twice.
 *  Node.js, `http._connectionListener`. Without it: 'connection' is emitted. */
export function readHttp (server: Server, raw: Duplex, module: object = http): void {
  const { _connectionListener: listener } = module as { _connectionListener?: unknown }
  if (typeof listener === 'function') Reflect.apply(listener, server, [raw])
  else server.emit('connection', raw)
}

/** Returns the TCP socket below a TLS socket, to know which of them have no TLS handshake yet.
 *  Node.js, `_parent`. Without it: undefined; unfinished TLS handshakes are not cut off. */
export function socketBelow (secure: TLSSocket): Socket | undefined { return nodeFields(secure)._parent }

/** Bytes that were written to a raw socket and that the kernel has not taken. `writableLength` alone has all of a large write
 *  until its last byte is taken.
 *  Node.js, `_writableState` and `_handle.writeQueueSize`. Without it: `writableLength`. */
export function bytesPending (raw: Socket): number {
  if (raw.writableLength === 0) return 0
  const { _writableState: { writing = false, writelen = 0 } = {}, _handle: handle } = nodeFields(raw)
  return raw.writableLength - (writing ? writelen : 0) + (handle?.writeQueueSize ?? 0)
}

/** Returns the bytes of a raw socket that the kernel has taken: progress of a slow reader.
 *  Node.js, `_handle.bytesWritten` and `writeQueueSize`. Without it: `bytesWritten`, which walks the whole queue, minus the pending. */
export function bytesTakenFrom (raw: Socket): number {
  const { _handle: handle } = nodeFields(raw)
  return typeof handle?.bytesWritten === 'number' ? handle.bytesWritten - (handle.writeQueueSize ?? 0) : (raw.bytesWritten ?? 0) - bytesPending(raw)
}

/** Returns whether a request came with an 'upgrade' event: its answer leaves the connection open.
 *  Node.js, `IncomingMessage.upgrade`. Without it: false; a route outside of the plugin's context is called as an HTTP route. */
export function isUpgrade (request: object): boolean { return (request as { upgrade?: unknown }).upgrade === true }

/** Calls back, and drops the address of the peer that a raw socket has kept meanwhile: 75 bytes a connection. It asks the kernel
 *  again at the next use.
 *  Node.js, `_peername`. Without it: the address stays. */
export function withoutAddress<T> (raw: Socket, call: () => T): T {
  const fields = nodeFields(raw)
  const before = fields._peername
  const result = call()
  if (before == null && fields._peername != null) fields._peername = null
  return result
}

/** Has an emitter keep its listeners in an object with fields for those that it has, which takes less memory than the hash table of
 *  Node.js, or its fields for every event of a stream.
 *  Node.js, `_events` and `_eventsCount`. Without it: nothing is changed. */
export function packListeners (emitter: object | undefined, kind: keyof typeof LISTENERS): void {
  const fields = emitter as { _events?: Record<string, unknown>, _eventsCount?: number } | undefined
  const events = fields?._events
  if (events === undefined || ![null, Object.prototype].includes(Object.getPrototypeOf(events) as null)) return
  // Most sockets have this one listener so far; to copy a hash table takes longer than all the rest.
  const packed = fields!._events = new LISTENERS[kind](events.close)
  if (fields!._eventsCount === 1 && events.close !== undefined) return
  for (const event in events) if (events[event] !== undefined) packed[event] = events[event]
}

// ——— Fastify and its plugins

/** Returns whether an 'upgrade' listener is that of @fastify/websocket, which admission comes before. Bundlers do not rename the
 *  methods that it calls.
 *  @fastify/websocket 11.3.7, the source of the listener. Without it: false; of several listeners none is taken for it. */
export function isFastifyWebsocket (listener: Function): boolean { return /\.assignSocket\([^]*\.routing\(/.test(sourceOf(listener)) }

/** Returns whether a reply is of a route of @fastify/http-proxy that proxies WebSockets, for the text of a warning.
 *  @fastify/http-proxy 11.6.3, `reply.wsProxy`. Without it: false; the warning says what is true of any route. */
export function isProxied (reply: object): boolean { return (reply as { wsProxy?: unknown }).wsProxy !== undefined }

/** Returns the servers that Fastify opens beside the first for 'localhost', whose connections the drain closes, too.
 *  Fastify 5.12.8, the symbol `fastify.serverBindings` of the root instance. Without it: none. */
export function secondaryServers (root: object): Server[] { return (symbolIn(root, 'fastify.serverBindings') ?? []) as Server[] }

/** Adds a hook that runs before all preClose hooks, if it is called inside onReady: these may close clients without a code.
 *  avvio 9.3.1, `onClose` of the instance. Without it: no hook is added; the drain begins with the preClose hooks. */
export function beforePreClose (app: object, hook: (app: unknown, done: () => void) => void): void {
  (app as { onClose?: (added: typeof hook) => void }).onClose?.(hook)
}
