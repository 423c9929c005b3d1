/**
 * Traces handshakes, messages and closes with OpenTelemetry. Of a handshake only the context of its span is kept; spans are held only
 * while they last, and those of a connection end with it.
 */
import { context, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import type { Context, Link, Span } from '@opentelemetry/api'
import type { IncomingMessage } from 'node:http'
import { isClosing, type CloseRecord } from '../../connection/connection.ts'
import type { ManagedConnection } from '../../connection/managed-connection.ts'
import type { HandshakeTrace, MessageTrace, TraceContext, Tracing } from '../../connection/tracing.ts'
import { ConnectionSpan } from './connection-span.ts'
import { traceHandshake, withoutHandshake } from './handshake-span.ts'
import { isSampled, keptOf, toContext } from './kept-context.ts'
import type { KeptContext } from './kept-context.ts'
import { MessageInContext, MessageSpan } from './message-span.ts'
import { attributesOf, endSpan, failSpan, startSpan } from './spans.ts'

/** Which messages have a span. */
export type MessageMode = false | 'inherit' | 'all'

export class ConnectionTracing implements Tracing<ManagedConnection> {
  readonly #messages: MessageMode
  /** Messages whose promises have not settled, and those that `messages()` has handed out, by connection. */
  readonly #waitingOf = new Map<ManagedConnection, Set<MessageSpan>>()
  /** The message that `messages()` has handed out. */
  readonly #handedOut = new Map<ManagedConnection, MessageSpan>()
  readonly #closes = new Map<ManagedConnection, Span>()

  constructor (messages: MessageMode) {
    this.#messages = messages
  }

  contextOf (connection: ManagedConnection): TraceContext | undefined {
    const kept = keptOf(connection)
    return kept === undefined ? undefined : toContext(kept)
  }

  handshake (request: IncomingMessage): HandshakeTrace<ManagedConnection> | null { return traceHandshake(request) }

  callHandler (connection: ManagedConnection, call: () => unknown): unknown {
    const kept = keptOf(connection)
    if (kept === undefined || !(this.#messages === 'all' || isSampled(kept))) return call()
    const span = new ConnectionSpan(toContext(kept), () => this.#handedOut.get(connection)?.span)
    return context.with(trace.setSpan(withoutHandshake(context.active()), span), call)
  }

  message (connection: ManagedConnection, size: number, isBinary: boolean): MessageTrace | null {
    const kept = keptOf(connection)
    if (this.#messages !== 'all' && (kept === undefined || !isSampled(kept))) return null
    if (this.#messages === false) return new MessageInContext(contextIn(kept!))
    return this.#startMessage(connection, kept, size, isBinary, false)
  }

  consumed (connection: ManagedConnection, size: number, isBinary: boolean): MessageTrace | null {
    const kept = keptOf(connection)
    if (this.#messages === false || (this.#messages !== 'all' && (kept === undefined || !isSampled(kept)))) return null
    const message = this.#startMessage(connection, kept, size, isBinary, true)
    if (message !== null) this.#handedOut.set(connection, message)
    return message
  }

  callAtEnd<T> (connection: ManagedConnection, call: () => T): T {
    const kept = keptOf(connection)
    if (kept === undefined || !isSampled(kept)) return call()
    const span = this.#closeOf(connection, kept)
    return context.with(span === undefined ? contextIn(kept) : trace.setSpan(ROOT_CONTEXT, span), call)
  }

  /** The connection is closed: ends its spans. */
  closed (connection: ManagedConnection, { cause, code }: CloseRecord): void {
    for (const message of this.#waitingOf.get(connection) ?? []) message.giveUp()
    const span = this.#closes.get(connection)
    if (span === undefined) return
    this.#closes.delete(connection)
    if (cause === 'error') failSpan(span, cause)
    endSpan(span, { 'websocket.close.cause': cause, 'websocket.close.code': code })
  }

  #startMessage (connection: ManagedConnection, kept: KeptContext | undefined, size: number, isBinary: boolean, handedOut: boolean): MessageSpan | null {
    // `messages()` hands out what was queued: nothing would end a span that begins after the close.
    if (connection.state === 'closed') return null
    const attributes = { ...attributesOf(connection), 'websocket.message.type': isBinary ? 'binary' : 'text', 'websocket.message.size': size }
    const span = startSpan('websocket.receive', { root: true, kind: SpanKind.CONSUMER, attributes, links: linksTo(kept) }, ROOT_CONTEXT)
    if (span === undefined) return null
    return new MessageSpan(span, (message, waits) => { this.#waiting(connection, message, waits) }, handedOut)
  }

  #waiting (connection: ManagedConnection, message: MessageSpan, waits: boolean): void {
    // A listener may emit 'close' itself: then nothing else ends the span.
    if (waits && connection.state === 'closed') return message.giveUp()
    const waiting = this.#waitingOf.get(connection) ?? new Set()
    if (waits) {
      this.#waitingOf.set(connection, waiting.add(message))
      return
    }
    waiting.delete(message)
    if (waiting.size === 0) this.#waitingOf.delete(connection)
    if (this.#handedOut.get(connection) === message) this.#handedOut.delete(connection)
  }

  /** Returns the span of the close, which begins with the first code that runs because of it. */
  #closeOf (connection: ManagedConnection, kept: KeptContext): Span | undefined {
    const { socket, state } = connection
    const begun = this.#closes.get(connection)
    // Listeners of 'error' are called at any time; those of 'close' also before the connection is told of it.
    if (begun !== undefined || state === 'closed' || !(isClosing(state) || socket.readyState === socket.CLOSED)) return begun
    const span = startSpan('websocket.closed', { root: true, attributes: attributesOf(connection), links: linksTo(kept) }, ROOT_CONTEXT)
    if (span !== undefined) this.#closes.set(connection, span)
    return span
  }
}

/** Returns the context of code whose parent is the handshake. */
function contextIn (kept: KeptContext): Context { return trace.setSpanContext(ROOT_CONTEXT, toContext(kept)) }

function linksTo (kept: KeptContext | undefined): Link[] { return kept === undefined ? [] : [{ context: toContext(kept) }] }
