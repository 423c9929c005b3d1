/**
 * What stands for the active span in the handler of a connection and in all that it starts: the span of the message that
 * `messages()` has handed out, else the handshake's, of which only the context is kept.
 *
 * The body of a `for await` runs in the async context of the handler, which cannot be changed for each message; so what it finds
 * in that context changes.
 */
import { trace } from '@opentelemetry/api'
import type { Attributes, AttributeValue, Exception, Link, Span, SpanContext, SpanStatus, TimeInput } from '@opentelemetry/api'

export class ConnectionSpan implements Span {
  readonly #current: () => Span

  constructor (handshake: SpanContext, message: () => Span | undefined) {
    const kept = trace.wrapSpanContext(handshake)
    this.#current = () => message() ?? kept
  }

  spanContext (): SpanContext { return this.#current().spanContext() }
  isRecording (): boolean { return this.#current().isRecording() }

  setAttribute (key: string, value: AttributeValue): this { this.#current().setAttribute(key, value); return this }
  setAttributes (attributes: Attributes): this { this.#current().setAttributes(attributes); return this }
  addEvent (name: string, attributesOrTime?: Attributes | TimeInput, time?: TimeInput): this { this.#current().addEvent(name, attributesOrTime, time); return this }
  addLink (link: Link): this { this.#current().addLink(link); return this }
  addLinks (links: Link[]): this { this.#current().addLinks(links); return this }
  setStatus (status: SpanStatus): this { this.#current().setStatus(status); return this }
  updateName (name: string): this { this.#current().updateName(name); return this }
  recordException (exception: Exception, time?: TimeInput): void { this.#current().recordException(exception, time) }

  /** The plugin ends the spans of messages. */
  end (): void {}
}
