/**
 * What an 'upgrade' event hands over: a raw socket that Node no longer looks after, and answers that may still be under way
 * on it.
 *
 * Node removes its 'error' listener from the socket before the event, so an error of any client would end the process: the
 * socket is guarded from the event until ws has taken it, or to its end. Requests may be pipelined (RFC 9112 §9.3.2): an
 * upgrade behind one that is not answered yet waits for that answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** What Node keeps to itself of a raw socket: the response that is being written to it. */
type RawSocket = Duplex & { _httpMessage?: ServerResponse | null, bytesWritten?: number }

/** Keeps errors of a raw socket from the process; may be called twice. */
export function guardErrors (raw: Duplex): void {
  if (!raw.listeners('error').includes(destroyOnError)) raw.on('error', destroyOnError)
}

/** Removes the guard of a socket whose new owner has one. */
export function releaseErrors (raw: Duplex): void {
  raw.removeListener('error', destroyOnError)
}

function destroyOnError (this: Duplex): void { this.destroy() }

/** The response that is being written to a raw socket. */
export function responseOn (raw: Duplex): ServerResponse | undefined {
  return (raw as RawSocket)._httpMessage ?? undefined
}

export function bytesWritten (raw: Duplex): number {
  return (raw as RawSocket).bytesWritten ?? 0
}

/** Calls back once all requests before this one are answered: at once as a rule, and never where the connection ends first. */
export function afterEarlierAnswers (request: IncomingMessage, raw: Duplex, callback: () => void): void {
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
    afterEarlierAnswers(request, raw, callback)
  })
}

/**
 * Says whether another listener has taken the upgrade: http-proxy assigns a response, ws reads, NestJS ends what is not its
 * own. Where ours is the only listener, one that reads counts the bytes.
 */
export function isTaken (raw: Duplex, alone: boolean): boolean {
  return raw.destroyed || raw.writableEnded || responseOn(raw) !== undefined || (!alone && raw.listenerCount('data') > 0)
}

/** Ends TCP once what was written has left. */
export function endSoon (raw: Duplex): void {
  raw.end(() => { raw.destroy() })
}
