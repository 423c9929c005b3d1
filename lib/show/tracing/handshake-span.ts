/**
 * The span of a handshake, `websocket.handshake`: from the 'upgrade' event to the 101 response or the refusal.
 *
 * It also ends the span `request` that @fastify/otel has begun, which ends its spans when an answer is sent: a handshake has none.
 */
import { context, createContextKey, propagation, SpanKind, trace } from '@opentelemetry/api'
import type { Attributes, Context, Span } from '@opentelemetry/api'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { attempt } from '../../base/guard.ts'
import type { ManagedConnection } from '../../connection/managed-connection.ts'
import type { HandshakeTrace } from '../../connection/tracing.ts'
import { keep } from './kept-context.ts'
import { contextOf, endSpan, failed, failSpan, startSpan } from './spans.ts'

/** Where @opentelemetry/core keeps what instrumentations of servers tell those of frameworks: then @fastify/otel makes no second SERVER span. */
const RPC_METADATA = createContextKey('OpenTelemetry SDK Context Key RPC_METADATA')

/** A request that @fastify/otel may have decorated. */
type TracedRequest = FastifyRequest & { opentelemetry?: () => { span?: Span | null } }

/** Begins the span of a handshake. */
export function traceHandshake (request: IncomingMessage): HandshakeSpan | null {
  const active = context.active()
  const outer = trace.getSpan(active)
  const parent = outer === undefined ? attempt(() => propagation.extract(active, request.headers), failed) ?? active : active
  const attributes = { 'http.request.method': request.method, 'network.protocol.name': 'http', 'network.protocol.version': request.httpVersion }
  const span = startSpan('websocket.handshake', { kind: outer === undefined ? SpanKind.SERVER : SpanKind.INTERNAL, attributes }, parent)
  return span === undefined ? null : new HandshakeSpan(span, parent)
}

/** Takes out of a context what refers to the span of a handshake, so that code of the connection does not keep it. */
export function withoutHandshake (given: Context): Context { return given.deleteValue(RPC_METADATA) }

class HandshakeSpan implements HandshakeTrace<ManagedConnection> {
  readonly #span: Span
  readonly #context: Context
  /** What is known of the handshake before it ends. */
  readonly #attributes: Attributes = {}
  #request: TracedRequest | undefined

  constructor (span: Span, parent: Context) {
    this.#span = span
    this.#context = trace.setSpan(parent, span).setValue(RPC_METADATA, { type: 'http', span })
  }

  run (step: () => void): void { context.with(this.#context, step) }
  routed (request: FastifyRequest): void { this.#request = request }
  refused (reason: string): void { this.#attributes['websocket.refused'] = reason }

  opened (connection: ManagedConnection): void {
    const spanContext = contextOf(this.#span)
    if (spanContext !== undefined) keep(connection, spanContext)
    this.#attributes['websocket.connection.id'] = connection.id
    this.ended(101)
  }

  ended (status: number | undefined): void {
    const attributes = status === undefined ? {} : { 'http.response.status_code': status }
    const request = this.#request
    if (request !== undefined) {
      const { url } = request.routeOptions
      if (url !== undefined) this.#attributes['http.route'] = url
      attempt(() => {
        const theirs = request.opentelemetry?.().span
        if (theirs?.isRecording() === true) endSpan(theirs, attributes)
      }, failed)
    }
    if (status === undefined) failSpan(this.#span, 'connection_closed')
    else if (status >= 500) failSpan(this.#span, String(status))
    endSpan(this.#span, { ...this.#attributes, ...attributes })
  }
}
