/**
 * Memory of an idle WebSocket: what only its handshake needed is released, and what stays takes less space.
 *
 * @fastify/websocket keeps request, reply and response as long as the socket is open, half the memory of an idle connection: its
 * 'error' listener refers to them, and so does the raw socket. One listener for all sockets replaces the former, and the response
 * is taken off its socket. A request that the application keeps stays whole.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { packListeners, rawSocketOf, receiverOf, replaceResponse, responseOn, shareExtensions, withoutAddress } from '../base/internals.ts'
import { recordedAddress } from '../connection/facts.ts'
import { connectionOf } from '../connection/of-socket.ts'
import { onRawClose } from './tracked-socket.ts'
import type { SocketPolicy } from './tracked-socket.ts'

/** Returns a function that replaces the 'error' listener of @fastify/websocket, which refers to the request; for use before the handler. */
export function errorListenerReplacer (policy: Pick<SocketPolicy, 'unheardError'>): (socket: WebSocket) => void {
  function onError (this: WebSocket, error: Error): void { policy.unheardError(connectionOf(this)!, error) }
  return (socket) => {
    // The last one: those before it are the application's, from `onOpen` or an event of the tracker.
    const theirs = socket.listeners('error').at(-1)
    if (theirs !== undefined) socket.removeListener('error', theirs as () => void)
    socket.on('error', onError)
  }
}

/** Returns the address of a client; undefined for requests of `injectWS`, for which Fastify would throw with `trustProxy`, and where TCP has ended. */
export function addressOf (request: FastifyRequest): string | undefined {
  const ip = request.raw.socket === undefined ? undefined : request.ip as string | undefined
  return ip === undefined ? undefined : recordedAddress(ip)
}

/** Returns the same, and releases the copy that Node.js keeps, unless it was asked for before: it may be wanted after the end. */
export function takeAddress (request: FastifyRequest): string | undefined {
  const socket = request.raw.socket as Socket | undefined
  return socket === undefined ? undefined : withoutAddress(socket, () => addressOf(request))
}

/** Stands for the responses of all open sockets, with what terminators and this package use of a response. */
const ANSWERED = Object.freeze({ headersSent: true, setHeader () {}, once () {} }) as never as ServerResponse

/** Releases the response of a request, unless a listener for its 'close' waits for the end of the connection. */
export function releaseResponse ({ socket }: IncomingMessage): void {
  const response = (socket as Socket | undefined) && responseOn(socket)
  if (response === undefined || response.listenerCount('close') > 0) return
  replaceResponse(response, socket, ANSWERED)
  // Node.js makes a list of 20 places for three listeners. Added anew, ours and the one of ws get a list of two.
  socket.removeListener('close', onRawClose)
  socket.on('close', onRawClose)
}

/** Reduces the memory of a socket that has opened. */
export function pack (socket: WebSocket): void {
  packListeners(socket, 'socket')
  packListeners(rawSocketOf(socket), 'raw')
  packListeners(receiverOf(socket), 'receiver')
  shareExtensions(socket)
}
