/**
 * One client on partysocket: what its application sees of a deploy. The second act of the demo has the same.
 */
import ReconnectingWebSocket from 'partysocket/ws'
import { monotonicMicros } from '../monotonic.ts'

/** Beginning of a question, and of its answer. */
const QUESTION = '?'
/** A message that was published: the first to the room has 1, the next 2, and so on. */
const NUMBER = /^\d+$/

export class CountingClient {
  readonly #socket: ReconnectingWebSocket
  readonly #numbers = new Set<string>()
  readonly #questions = new Set<string>()
  #withoutSince: number | null = null
  /** 'close' events, and when the last one was, microseconds of the monotonic clock. */
  closes = 0
  closedAt = 0
  /** Milliseconds between each 'close' and the next 'open'. */
  without = 0
  /** Longest time between two published messages, milliseconds. */
  pause = 0
  #messageAt: number | null = null
  /** Messages that had come before. */
  twice = 0
  /** Questions so far. */
  asked = 0

  constructor (url: string, WebSocket: unknown) {
    this.#socket = new ReconnectingWebSocket(url, [], { WebSocket })
    this.#socket.addEventListener('open', () => {
      if (this.#withoutSince !== null) this.without += performance.now() - this.#withoutSince
      this.#withoutSince = null
    })
    this.#socket.addEventListener('close', () => {
      this.closes++
      this.closedAt = monotonicMicros()
      // A failed attempt to connect is a 'close', too.
      this.#withoutSince ??= performance.now()
    })
    this.#socket.addEventListener('message', ({ data }) => { this.#received(data as string) })
  }

  get isOpen (): boolean { return this.#socket.readyState === this.#socket.OPEN }

  /** Questions without an answer. */
  get unanswered (): number { return this.#questions.size }

  /** Messages that never came, of so many that were published to the room. */
  lost (published: number): number { return published - this.#numbers.size }

  /** Sends a question. While there is no connection, partysocket keeps it for the next one. */
  ask (): void {
    const question = `${QUESTION}${++this.asked}`
    this.#questions.add(question)
    this.#socket.send(question)
  }

  #received (text: string): void {
    if (text.startsWith(QUESTION)) {
      if (!this.#questions.delete(text)) this.twice++
    } else if (NUMBER.test(text)) {
      if (this.#numbers.has(text)) this.twice++
      this.#numbers.add(text)
      const now = performance.now()
      this.pause = Math.max(this.pause, now - (this.#messageAt ?? now))
      this.#messageAt = now
    }
  }
}
