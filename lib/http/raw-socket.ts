/**
 * Requests of 'upgrade' events: their raw sockets, which Node.js no longer handles, and earlier answers still being written to them.
 *
 * Node.js removes its 'error' listener from the socket before the event, and an error of any client would end the process: the
 * socket has a listener of ours from the event until ws has added its own. Requests may be pipelined (RFC 9112 §9.3.2): an upgrade
 * waits for the answers to the requests before it.
 */
import { STATUS_CODES } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { readHttp, responseOn, serverOf } from '../base/internals.ts'

/** Destroys a raw socket on its errors, which would end the process otherwise. May be called twice. */
export function guardErrors (raw: Duplex): void {
  if (!raw.listeners('error').includes(destroyOnError)) raw.on('error', destroyOnError)
}

/** Removes that listener from a raw socket that has another one. */
export function releaseErrors (raw: Duplex): void {
  raw.removeListener('error', destroyOnError)
}

function destroyOnError (this: Duplex): void { this.destroy() }

export function bytesWritten (raw: Duplex): number {
  return (raw as { bytesWritten?: number }).bytesWritten ?? 0
}

/** Calls back when all requests before this one are answered: at once for most, never if the connection ends first. */
export function afterEarlierAnswers (request: IncomingMessage, stream: Duplex, callback: () => void): void {
  // For a request with a body Node 26 passes another stream than the socket; requests of `injectWS` have no socket.
  const raw = (request.socket as Duplex | undefined) ?? stream
  const response = responseOn(raw)
  if (response === undefined || response.req === request) return callback()
  // Node.js has removed its own listeners for these: without the first an answer larger than the buffers would stop halfway, without
  // the second the connection of a client that has left would stay open until the handler answers.
  const onDrain = (): void => { response.emit('drain') }
  const onEnd = (): void => { raw.end() }
  // If an answer has filled the buffers, Node.js has stopped reading without pausing the stream. This starts it again.
  raw.push('')
  raw.on('drain', onDrain)
  raw.on('end', onEnd)
  // The listener of Node.js comes first, and assigns the next response to the socket.
  response.once('finish', () => {
    raw.removeListener('drain', onDrain)
    raw.removeListener('end', onEnd)
    afterEarlierAnswers(request, stream, callback)
  })
}

/**
 * Returns whether another 'upgrade' listener has taken the socket: http-proxy assigns a response, ws reads, NestJS ends sockets that
 * are not for it. If ours is the `only` listener, a 'data' listener just counts bytes.
 */
export function isTaken (raw: Duplex, only: boolean): boolean {
  return raw.destroyed || raw.writableEnded || responseOn(raw) !== undefined || (!only && raw.listenerCount('data') > 0)
}

/** Answers a request over HTTP and ends the TCP connection; `retryAfter` in seconds. */
export function answer (raw: Duplex, status: number, body = `${STATUS_CODES[status]!}\n`, retryAfter?: number): void {
  guardErrors(raw)
  raw.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n${retryAfter === undefined ? '' : `Retry-After: ${retryAfter}\r\n`}` +
    `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    () => { raw.destroy() })
}

/** Headers that offer another protocol, also as options of `Connection` (RFC 9110 §7.8, RFC 7540 §3.2.1). */
const OFFER = new Set(['upgrade', 'http2-settings'])

/** Returns whether a request asks for a WebSocket. A server may ignore the offer of another protocol, such as `h2c` (RFC 9110 §7.8). */
export function asksForWebSocket ({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers.upgrade?.trim().toLowerCase() === 'websocket'
}

function hasBody ({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** A server of Node.js 24.9 or later, or of a late 22: it calls this to decide whether a request becomes an 'upgrade' event. */
interface AskingServer {
  shouldUpgradeCallback?: (request: Pick<IncomingMessage, 'headers'>) => boolean
}

const declining = new WeakSet<object>()

/**
 * Has Node.js answer requests with a body that offer other protocols, because Node 26 parses the body before it emits 'upgrade'. Only
 * while all 'upgrade' listeners of `main` are `ours`: others may want them. Requests without a body are left alone, for Node.js would
 * lose what is pipelined behind them. `main` is the server to which the others that Fastify opens for 'localhost' pass their events.
 */
export function declineOffers (server: Server, main: Server, ours: WeakSet<object>): void {
  const asking = server as Server & AskingServer
  const { shouldUpgradeCallback } = asking
  // Once per server, which may outlive the application.
  if (shouldUpgradeCallback === undefined || declining.has(server)) return
  declining.add(server)
  asking.shouldUpgradeCallback = (request) => shouldUpgradeCallback.call(server, request) &&
    (asksForWebSocket(request) || !hasBody(request) || !main.listeners('upgrade').every((listener) => ours.has(listener)))
}

/** Default of Node.js for the option `maxHeadersCount` of a server. */
const MAX_HEADERS = 1000

/**
 * Returns whether a request has all its headers. Node.js drops those above its limit. If the length of the body were among them, the
 * body of a request that is read again would be read as the next request.
 */
export function hasAllHeaders (server: Server, { rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>, raw: Duplex): boolean {
  const most = (serverOf(raw) ?? server).maxHeadersCount ?? MAX_HEADERS
  return most <= 0 || rawHeaders.length < 2 * most
}

/**
 * Has Node.js read a request again, with its body and without its offer of another protocol, and answer it over HTTP/1.1. A server
 * with an 'upgrade' listener takes every offer for accepted.
 */
export function answerOverHttp (server: Server, request: IncomingMessage, raw: Duplex, head: Buffer): void {
  releaseErrors(raw)
  const { method, url, httpVersion, rawHeaders } = request
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (OFFER.has(name)) continue
    let value = rawHeaders[i + 1]!
    if (name === 'connection') value = value.split(',').filter((option) => !OFFER.has(option.trim().toLowerCase())).join(',')
    if (value !== '' || name !== 'connection') text += `${rawHeaders[i]}: ${value}\r\n`
  }
  raw.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]))
  readHttp(serverOf(raw) ?? server, raw)
}
