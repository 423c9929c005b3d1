/**
 * The open pages: each gets the numbers as server-sent events (HTML Living Standard §9.2) when they change, at most once a second and
 * at each progress of a drain. The streams end with the drain, and never hold the close of the server.
 */
import type { ServerResponse } from 'node:http'
import type { Clock, Timer } from '../../base/clock.ts'

/** Time between two looks at the numbers, milliseconds. */
const INTERVAL = 1_000
/** Looks without a change after which a comment is sent, so that proxies keep the stream. */
const QUIET = 15
/** Longest time of a stream, milliseconds: the page then asks again, and is authenticated again. */
const MAX_AGE = 300_000
/** Most streams at once. */
const MAX_STREAMS = 64

export class LiveStreams {
  /** Each with the time of its end. */
  readonly #streams = new Map<ServerResponse, number>()
  readonly #clock: Clock
  readonly #message: () => object
  #timer: Timer | null = null
  #sent = ''
  #quiet = 0

  /** `message` returns what open pages are sent. */
  constructor (clock: Clock, message: () => object) {
    this.#clock = clock
    this.#message = message
  }

  get full (): boolean { return this.#streams.size >= MAX_STREAMS }

  /** Adds a stream whose head was written. */
  add (stream: ServerResponse): void {
    this.#streams.set(stream, this.#clock.now() + MAX_AGE)
    stream.on('close', () => { this.#streams.delete(stream) })
    stream.on('error', () => { this.#streams.delete(stream) })
    stream.write(event(this.#message()))
    if (this.#timer === null) this.#arm()
  }

  /** Sends the numbers, if they have changed. */
  update (): void {
    if (this.#streams.size === 0) return
    const text = event(this.#message())
    this.#quiet = text === this.#sent ? this.#quiet + 1 : 0
    if (this.#quiet % QUIET > 0) return
    // A client that does not read gets nothing more: it needs only the latest numbers.
    for (const stream of this.#streams.keys()) if (stream.writableLength === 0) stream.write(this.#quiet === 0 ? text : ':\n\n')
    this.#sent = text
  }

  /** Sends the numbers for the last time, and ends the streams. */
  end (): void {
    const text = event(this.#message())
    for (const stream of this.#streams.keys()) this.#end(stream, text)
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer)
    this.#timer = null
  }

  #end (stream: ServerResponse, text?: string): void {
    this.#streams.delete(stream)
    stream.end(text)
    // One whose client does not read would hold the close of the server.
    this.#clock.setImmediate(() => { if (!stream.writableFinished) stream.destroy() })
  }

  #arm (): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = null
      const now = this.#clock.now()
      for (const [stream, end] of this.#streams) if (now >= end) this.#end(stream)
      this.update()
      if (this.#streams.size > 0) this.#arm()
    }, INTERVAL)
    this.#timer.unref()
  }
}

/** One event: JSON has no line break, which would end it. */
function event (message: object): string { return `data: ${JSON.stringify(message)}\n\n` }
