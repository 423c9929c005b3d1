/**
 * `Connection: close` on the last answer of each HTTP/1 connection during a drain, so that its client opens the next one elsewhere.
 *
 * Before the drain no request costs anything. From its start Node.js tells of each request on a diagnostics channel, also of those
 * that 'checkContinue' listeners answer. Whether an answer is the last of its connection is known when its headers are written.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { requestOn, responseOn } from '../base/internals.ts'

/** Published before each 'request', 'checkContinue' and 'checkExpectation' event of every HTTP/1 server. */
const REQUEST_START = 'http.server.request.start'

/** Marks the last answer on each of the sockets, from now on, while `applies`. Returns a function that ends this. */
export function markLastAnswers (sockets: ReadonlySet<Socket>, applies: () => boolean): () => void {
  const onRequest = (message: unknown): void => {
    const { response, socket } = message as { response: ServerResponse, socket: Socket }
    if (sockets.has(socket)) mark(response, applies)
  }
  for (const socket of sockets) markUnderWay(socket, applies)
  subscribe(REQUEST_START, onRequest)
  return () => { unsubscribe(REQUEST_START, onRequest) }
}

function markUnderWay (socket: Socket, applies: () => boolean): void {
  const response = responseOn(socket)
  if (response === undefined) return
  mark(response, applies)
  // The listener of Node.js comes first, and assigns the response to the next pipelined request to the socket. Before its turn
  // that response cannot be found; if its headers are written by then, it does not say that the connection closes.
  response.once('finish', () => { markUnderWay(socket, applies) })
}

function mark (response: ServerResponse, applies: () => boolean): void {
  const { writeHead } = response
  // Node.js calls it, too, for headers that the application has not written.
  response.writeHead = function (this: ServerResponse, ...args: unknown[]) {
    if (!this.headersSent && applies() && isLastRequest(this.req)) {
      const headers = args.at(-1)
      if (typeof headers === 'object' && headers !== null) args[args.length - 1] = withoutConnection(headers)
      this.setHeader('connection', 'close')
    }
    return Reflect.apply(writeHead, this, args) as ServerResponse
  } as typeof writeHead
}

/** Removes `Connection` from headers: a proxied answer has that of its origin, which would replace ours. */
function withoutConnection (headers: object): object {
  const isOther = (name: unknown): boolean => String(name).toLowerCase() !== 'connection'
  if (!Array.isArray(headers)) return Object.fromEntries(Object.entries(headers).filter(([name]) => isOther(name)))
  // Node.js takes a list of pairs, but not beside a header that was set, as ours is.
  const list: unknown[] = Array.isArray(headers[0]) ? headers.flat() : headers
  return list.filter((_, i) => isOther(list[i - i % 2]))
}

/** Returns whether no request has arrived behind this one: with `Connection: close` Node.js drops those that are pipelined. */
function isLastRequest (request: IncomingMessage): boolean {
  const latest = requestOn(request.socket)
  return latest == null || latest === request
}
