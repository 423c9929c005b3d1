/**
 * How TCP ends once the close frames are exchanged: soon, with nothing lost, and at little cost.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex, Writable } from 'node:stream'
import { CloseCode } from '../base/close-codes.ts'

/**
 * Whether whoever sends a code has it from us: an answer has the code of what it answers (RFC 6455 §5.5.1), and these a client
 * hardly sends by itself. Where two close frames cross, the peer may have much to read yet: TCP must stay until it has.
 */
export function isOurs (code: number | undefined): code is number {
  return code !== undefined && code > CloseCode.GoingAway && code < 4000
}

/**
 * The peer has answered our close frame: TCP is ours to close first (RFC 6455 §7.1.1), and there is nothing to wait for.
 * What the kernel has taken it delivers; TLS has its own closeFrames. A stream over the socket ends with 'finish' of the raw one,
 * now or when it is ended later: that must come.
 */
export function hangUp (raw: Duplex & Partial<Pick<Socket, 'destroySoon'>> & { encrypted?: boolean }, streamed: boolean): void {
  if (raw.writableLength === 0 && raw.encrypted !== true && !streamed && raw.listenerCount('finish') === 0) raw.destroy()
  else if (raw.destroySoon !== undefined) raw.destroySoon()
  // A stream without a kernel socket.
  else raw.end()
}

/**
 * Makes a second `end()` cost nothing. ws ends its receiver and its raw socket up to three times in all, and each that comes
 * too late makes Node build an error with its stack trace, 5 to 7 µs, of which nobody is told.
 */
export function endOnce (stream: Writable | undefined): void {
  if (stream !== undefined && !Object.hasOwn(stream, 'end')) stream.end = end
}

/** In place of a stream's own. */
function end (this: Writable, chunk?: unknown, encoding?: unknown, done?: unknown): Writable {
  if (chunk === undefined && encoding === undefined && done === undefined && this.writableEnded) return this
  return ((Object.getPrototypeOf(this) as Writable).end as (...args: unknown[]) => Writable).call(this, chunk, encoding, done)
}

/** Ends the TCP connection of an upgrade request once it was answered over HTTP; Node.js leaves that to the 'upgrade' listener. */
export function endAfter (response: ServerResponse, raw: Socket): void {
  response.once('finish', () => { raw.destroySoon() })
}
