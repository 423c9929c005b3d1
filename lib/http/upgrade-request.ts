/**
 * What an 'upgrade' event hands over: a raw socket that Node no longer looks after, and answers that may still be under way
 * on it.
 *
 * Node removes its 'error' listener from the socket before the event, so an error of any client would end the process: the
 * socket is guarded from the event until ws has taken it, or to its end. Requests may be pipelined (RFC 9112 §9.3.2): an
 * upgrade behind one that is not answered yet waits for that answer.
 */
import { STATUS_CODES } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { readHttp, responseOn, serverOf } from '../base/internals.ts'

/** Keeps errors of a raw socket from the process; may be called twice. */
export function guardErrors (raw: Duplex): void {
  if (!raw.listeners('error').includes(destroyOnError)) raw.on('error', destroyOnError)
}

/** Removes the guard of a socket whose new owner has one. */
export function releaseErrors (raw: Duplex): void {
  raw.removeListener('error', destroyOnError)
}

function destroyOnError (this: Duplex): void { this.destroy() }

export function bytesWritten (raw: Duplex): number {
  return (raw as { bytesWritten?: number }).bytesWritten ?? 0
}

/** Calls back once all requests before this one are answered: at once as a rule, and never where the connection ends first. */
export function afterEarlierAnswers (request: IncomingMessage, stream: Duplex, callback: () => void): void {
  // Node 26 hands over a stream of its own where the request has a body; requests of `injectWS` have no socket.
  const raw = (request.socket as Duplex | undefined) ?? stream
  const response = responseOn(raw)
  if (response === undefined || response.req === request) return callback()
  // Node has removed these listeners of its own: without the first, an answer larger than the buffers would stop halfway;
  // without the second, a client that has left would be held for as long as the handler likes.
  const onDrain = (): void => { response.emit('drain') }
  const onEnd = (): void => { raw.end() }
  // Where an answer has filled the buffers, Node has stopped reading, and the stream does not know: this has it read again.
  raw.push('')
  raw.on('drain', onDrain)
  raw.on('end', onEnd)
  // Node's own listener comes first, and puts the next response into the place of this one.
  response.once('finish', () => {
    raw.removeListener('drain', onDrain)
    raw.removeListener('end', onEnd)
    afterEarlierAnswers(request, stream, callback)
  })
}

/**
 * Says whether another listener has taken the upgrade: http-proxy assigns a response, ws reads, NestJS ends what is not its
 * own. Where ours is the only listener, one that reads counts the bytes.
 */
export function isTaken (raw: Duplex, alone: boolean): boolean {
  return raw.destroyed || raw.writableEnded || responseOn(raw) !== undefined || (!alone && raw.listenerCount('data') > 0)
}

/** Answers a request over HTTP, and ends TCP; `retryAfter` in seconds. */
export function answer (raw: Duplex, status: number, body = `${STATUS_CODES[status]!}\n`, retryAfter?: number): void {
  guardErrors(raw)
  raw.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n${retryAfter === undefined ? '' : `Retry-After: ${retryAfter}\r\n`}` +
    `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    () => { raw.destroy() })
}

/** Ends TCP once what was written has left. */
export function endSoon (raw: Duplex): void {
  raw.end(() => { raw.destroy() })
}

/** Headers that are about the offer of another protocol, and those that only its connection has (RFC 9110 §7.8, RFC 7540 §3.2.1). */
const OFFER = new Set(['upgrade', 'http2-settings'])

/** Says whether a request asks for a WebSocket; `h2c` and the like are offers that a server may ignore (RFC 9110 §7.8). */
export function asksForWebSocket ({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers.upgrade?.trim().toLowerCase() === 'websocket'
}

function hasBody ({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** Asked by Node, from 24.9 on, whether a request is to be an 'upgrade'; elsewhere there is no such property. */
interface AskingServer {
  shouldUpgradeCallback?: (request: Pick<IncomingMessage, 'headers'>) => boolean
}

const declining = new WeakSet<object>()

/**
 * Has Node itself answer offers of other protocols with a body, which Node 26 parses before it emits 'upgrade', as long as the
 * listeners of `main` are `ours` and no other may want them. Of those without a body it would lose what is pipelined behind.
 * `main` is the server whose 'upgrade' listeners count: for 'localhost' Fastify opens several, which hand their events to one.
 */
export function declineOffers (server: Server, main: Server, ours: WeakSet<object>): void {
  const asking = server as Server & AskingServer
  const { shouldUpgradeCallback } = asking
  // Once a server: it may outlive the application.
  if (shouldUpgradeCallback === undefined || declining.has(server)) return
  declining.add(server)
  asking.shouldUpgradeCallback = (request) => shouldUpgradeCallback.call(server, request) &&
    (asksForWebSocket(request) || !hasBody(request) || !main.listeners('upgrade').every((listener) => ours.has(listener)))
}

/** Headers that Node keeps of a request where `maxHeadersCount` of its server says nothing. */
const MAX_HEADERS = 1000

/**
 * Says whether all headers of a request are known. Node drops those above its limit: with one of them that tells how long
 * the body is, a request that is read again would leave its body to be read as the next one.
 */
export function hasAllHeaders (server: Server, { rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>, raw: Duplex): boolean {
  const most = (serverOf(raw) ?? server).maxHeadersCount ?? MAX_HEADERS
  return most <= 0 || rawHeaders.length < 2 * most
}

/**
 * Has Node read a request again without its offer of another protocol, body and all, and answer it over HTTP/1.1: with a
 * listener for 'upgrade' Node takes every offer for accepted. Its own function is called, and no 'connection' event emitted:
 * to other listeners of that event this would be one more connection, for each such request.
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
