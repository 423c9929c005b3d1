/**
 * The end of TCP after the exchange of close frames: soon, without losing data, and at little cost.
 */
import type { Socket } from 'node:net'
import type { Duplex, Writable } from 'node:stream'
import { CloseCode } from '../base/close-codes.ts'

/**
 * Returns whether a client that sends a code answers a close frame of ours with it: answers repeat the code (RFC 6455 §5.5.1), and
 * clients rarely send these codes first. If two close frames cross, the peer may still have much to read, and TCP must stay open.
 */
export function isServerCode (code: number | undefined): code is number {
  return code !== undefined && code > CloseCode.GoingAway && code < 4000
}

/**
 * Ends TCP when the peer has answered our close frame: the server closes first (RFC 6455 §7.1.1), and the kernel delivers what it has
 * taken. TLS sends its own last record before, and a stream over the socket (`streamed`) needs the event 'finish' of the raw socket.
 */
export function endTcp (raw: Duplex & Partial<Pick<Socket, 'destroySoon'>> & { encrypted?: boolean }, streamed: boolean): void {
  if (raw.writableLength === 0 && raw.encrypted !== true && !streamed && raw.listenerCount('finish') === 0) raw.destroy()
  else if (raw.destroySoon !== undefined) raw.destroySoon()
  // The stream of `injectWS`.
  else raw.end()
}

/**
 * Makes a second `end()` cost nothing. ws ends its receiver and its raw socket up to three times in all, and for each late call
 * Node.js creates an error with its stack trace, 5 to 7 µs, that no listener gets.
 */
export function endOnce (stream: Writable | undefined): void {
  if (stream !== undefined && !Object.hasOwn(stream, 'end')) stream.end = end
}

/** Replaces the method of a stream. */
function end (this: Writable, chunk?: unknown, encoding?: unknown, done?: unknown): Writable {
  if (chunk === undefined && encoding === undefined && done === undefined && this.writableEnded) return this
  return ((Object.getPrototypeOf(this) as Writable).end as (...args: unknown[]) => Writable).call(this, chunk, encoding, done)
}
