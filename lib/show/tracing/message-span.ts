/**
 * The span of one message, `websocket.receive`: from its delivery until the listeners have returned and their promises have settled,
 * or until `messages()` is asked for the next message.
 *
 * It is the root of a trace of its own, with a link to the handshake: a trace that grows as long as the connection is open would
 * never be complete.
 */
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import type { Attributes, Context, Span } from '@opentelemetry/api'
import { attempt, isThenable, toPromise } from '../../base/guard.ts'
import type { MessageTrace } from '../../connection/tracing.ts'
import { endSpan, failSpan } from './spans.ts'

export class MessageSpan implements MessageTrace {
  readonly span: Span
  readonly #context: Context
  readonly #waiting: (message: MessageSpan, waits: boolean) => void
  #waits: boolean
  /** Promises of listeners, and one for `end()`. */
  #pending = 1

  /** `waiting` is told when the span waits for code of the application, and when it has ended after that. `handedOut`: it waits from the start. */
  constructor (span: Span, waiting: (message: MessageSpan, waits: boolean) => void, handedOut: boolean) {
    this.span = span
    this.#context = trace.setSpan(ROOT_CONTEXT, span)
    this.#waiting = waiting
    this.#waits = handedOut
    if (handedOut) waiting(this, true)
  }

  call (listener: Function, socket: object, args: unknown[]): unknown {
    try {
      const result: unknown = context.with(this.#context, listener as () => unknown, socket, ...args as [])
      if (!isThenable(result)) return result
      this.#pending++
      const promise = toPromise(result)
      promise.then(() => { this.end() }, (error: unknown) => {
        failSpan(this.span, typeOf(error))
        this.end()
      })
      return promise
    } catch (error) {
      failSpan(this.span, typeOf(error))
      throw error
    }
  }

  end (): void {
    if (--this.#pending === 0) return this.#finish()
    if (this.#waits || this.#pending < 0) return
    this.#waits = true
    this.#waiting(this, true)
  }

  /** Ends the span of a message whose connection has closed before its listeners have finished. */
  giveUp (): void {
    // No end() ends it again.
    this.#pending = 0
    this.#finish({ 'websocket.message.unfinished': true })
  }

  #finish (attributes: Attributes = {}): void {
    endSpan(this.span, attributes)
    if (this.#waits) this.#waiting(this, false)
  }
}

/** Calls listeners in a context, without a span of the message. */
export class MessageInContext implements MessageTrace {
  readonly #context: Context

  constructor (given: Context) {
    this.#context = given
  }

  call (listener: Function, socket: object, args: unknown[]): unknown { return context.with(this.#context, listener as () => unknown, socket, ...args as []) }
  end (): void {}
}

/** Returns the name of an error's class; its message may contain what must not be traced. */
function typeOf (error: unknown): string {
  const name: unknown = attempt(() => error instanceof Error ? error.name as unknown : undefined, () => {})
  return typeof name === 'string' ? name : '_OTHER'
}
