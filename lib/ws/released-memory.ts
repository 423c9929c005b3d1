/**
 * What an idle socket costs, made less: lets go of what only the handshake needed, and packs what stays.
 *
 * @fastify/websocket keeps request, reply and response for as long as the socket lives: its 'error' listener and the raw
 * socket's `_httpMessage` hold them, half of what an idle connection costs. One listener for all sockets takes the place of
 * the former, and Node's own `detachSocket` ends the latter. A handler that keeps the request has it, of course.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { connectionOf } from '../connection/of-socket.ts'
import { shareExtensions } from './internals.ts'
import { onRawClose } from './tracked-socket.ts'
import type { SocketPolicy } from './tracked-socket.ts'

/** Gives one 'error' listener to every socket instead of @fastify/websocket's own, which holds the request; before the handler runs. */
export function errorTaker (policy: Pick<SocketPolicy, 'unheardError'>): (socket: WebSocket) => void {
  function onError (this: WebSocket, error: Error): void { policy.unheardError(connectionOf(this)!, error) }
  return (socket) => {
    const { _events: events } = socket as unknown as Inside
    // As a rule it is the only one, and has its place taken.
    if (typeof events?.error === 'function') {
      events.error = onError
      return
    }
    // The last one: those before are the application's, from `onOpen` or an event of the tracker.
    const theirs = socket.listeners('error').at(-1)
    if (theirs !== undefined) socket.removeListener('error', theirs as () => void)
    socket.on('error', onError)
  }
}

/** Address of the client. A stream of injectWS has none, and with `trustProxy` to ask for it throws. */
export function addressOf (request: FastifyRequest): string | undefined {
  return request.raw.socket === undefined ? undefined : request.ip
}

/** The same, and lets go of what Node keeps of it for the next one who asks, unless somebody has asked before. */
export function takeAddress (request: FastifyRequest): string | undefined {
  const socket = request.raw.socket as Socket & { _peername?: object | null } | undefined
  const before = socket?._peername
  const address = addressOf(request)
  if (before == null && socket?._peername != null) socket._peername = null
  return address
}

/**
 * Stands on open sockets for their responses. Outside terminators (http-terminator is one) take a socket without a response for
 * idle and destroy it, whatever work is under way. It is asked for what those and this plugin ask of a response.
 */
const ANSWERED = Object.freeze({ headersSent: true, setHeader () {}, once () {} }) as never as ServerResponse

/** Lets go of the response; not where somebody waits for its 'close', which tells of the end of the connection. */
export function releaseResponse ({ socket }: IncomingMessage): void {
  const answering = socket as Socket & { _httpMessage?: ServerResponse | null } | undefined
  const response = answering?._httpMessage
  if (response == null || response.listenerCount('close') > 0) return
  response.detachSocket(socket)
  answering!._httpMessage = ANSWERED
  // The response's listener has made the list grow to 20 places; a list of two is made anew with two. Not by hand: Node 24
  // keeps count in it of who is being called.
  socket.removeListener('close', onRawClose)
  socket.on('close', onRawClose)
}

/** As `{ __proto__: null }`, in which EventEmitter keeps its listeners, but with fields where that is a hash table. */
const Listeners = function (this: { close?: unknown }, close?: unknown) { if (close !== undefined) this.close = close } as unknown as new (close?: unknown) => object
Listeners.prototype = Object.create(null) as object

/** What Node keeps to itself of an emitter. */
interface Inside {
  _events?: { close?: unknown, error?: unknown }
  _eventsCount?: number
}

/** Packs a socket that has opened; leaves alone what it does not know. */
export function pack (socket: WebSocket): void {
  const inside = socket as unknown as Inside
  const { _events: events } = inside
  if (events !== undefined && Object.getPrototypeOf(events) === null) {
    // As a rule there is none yet but that of its server; to go through a hash table takes longer than all the rest.
    const { close } = events
    inside._events = inside._eventsCount === 1 && close !== undefined ? new Listeners(close) : Object.assign(new Listeners(), events)
  }
  shareExtensions(socket)
}
