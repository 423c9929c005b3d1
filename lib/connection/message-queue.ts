/**
 * The queue of `connection.messages()`, with one consumer and backpressure.
 *
 * A message is work from when the consumer takes it until it asks for the next. Above the high-water mark the socket is paused.
 * ws still emits the frames of the chunk that it parses, so the bound is the mark plus a chunk of 64 KiB plus a message.
 */
import type { Message } from './connection.ts'
import type { MessageTrace } from './tracing.ts'
import type { WorkCounter } from './work.ts'

/** Bytes that a queued message counts beside its length, so that the number of small messages is bounded, too. */
const OVERHEAD = 64

/** What the queue needs of its connection. */
export interface MessageSource {
  readonly work: WorkCounter
  pause (reason: 'queue'): void
  resume (reason: 'queue'): void
  /** Counts messages that are not delivered. */
  drop (count: number): void
  /** Begins the trace of a message that is handed out; null without tracing. */
  trace (message: Message): MessageTrace | null
}

export class MessageQueue implements AsyncIterableIterator<Message> {
  readonly #source: MessageSource
  readonly #highWaterMark: number
  #queue: Message[] = []
  #head = 0
  #size = 0
  #paused = false
  #holding = false
  #trace: MessageTrace | null = null
  #accepting = true
  #ended = false
  #left = false
  #waiting: Array<(result: IteratorResult<Message, undefined>) => void> = []

  constructor (source: MessageSource, highWaterMark: number) {
    this.#source = source
    this.#highWaterMark = highWaterMark
  }

  /** Whether the consumer has left before the end. */
  get left (): boolean { return this.#left }

  /** Whether the queue takes new messages. */
  get accepting (): boolean { return this.#accepting }

  /** Queues a message. Returns false if the queue takes none. */
  push (message: Message): boolean {
    if (!this.#accepting) return false
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) {
      this.#hold(message)
      waiting({ done: false, value: message })
      return true
    }
    this.#queue.push(message)
    this.#size += cost(message)
    if (this.#size >= this.#highWaterMark && !this.#paused) {
      this.#paused = true
      this.#source.pause('queue')
    }
    return true
  }

  /** Takes no new messages; queued ones are still delivered. */
  stop (): void {
    this.#accepting = false
    // The queue grows no more, and a paused socket hides the peer's close frame.
    this.#unpause()
    if (this.#size === 0) this.end()
  }

  /** Ends the iteration now; queued messages are dropped and counted. */
  end (): void {
    this.#accepting = false
    this.#ended = true
    const left = this.#queue.length - this.#head
    if (left > 0) this.#source.drop(left)
    this.#queue = []
    this.#head = this.#size = 0
    this.#unpause()
    for (const resolve of this.#waiting.splice(0)) resolve({ done: true, value: undefined })
  }

  next (): Promise<IteratorResult<Message, undefined>> {
    this.#release()
    if (this.#head < this.#queue.length) {
      const value = this.#queue[this.#head]!
      this.#queue[this.#head++] = ''
      if (this.#head === this.#queue.length || this.#head >= 1024) {
        this.#queue.splice(0, this.#head)
        this.#head = 0
      }
      this.#size -= cost(value)
      if (this.#size < this.#highWaterMark) this.#unpause()
      this.#hold(value)
      return Promise.resolve({ done: false, value })
    }
    if (this.#ended || !this.#accepting) {
      this.end()
      return Promise.resolve({ done: true, value: undefined })
    }
    return new Promise((resolve) => { this.#waiting.push(resolve) })
  }

  return (): Promise<IteratorResult<Message, undefined>> {
    this.#left = true
    this.#release()
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator] (): this {
    return this
  }

  #hold (message: Message): void {
    // Several calls of `next()` at once are one consumer.
    if (this.#holding) return
    this.#holding = true
    this.#source.work.start()
    this.#trace = this.#source.trace(message)
  }

  #release (): void {
    if (!this.#holding) return
    this.#holding = false
    this.#source.work.end()
    this.#trace?.end()
    this.#trace = null
  }

  #unpause (): void {
    if (!this.#paused) return
    this.#paused = false
    this.#source.resume('queue')
  }
}

function cost (message: Message): number { return sizeOf(message) + OVERHEAD }

/** Length of a message. */
export function sizeOf (message: Message): number {
  // With `binaryType: 'blob'` a binary message is a Blob, which has a size.
  return message.length ?? (message as unknown as Blob).size
}
