/**
 * Starts, reads and ends spans. Spans, propagators, samplers and span processors are code of the application: what they throw goes to
 * OpenTelemetry's own logger, and what would have been traced goes on untraced.
 */
import { diag, isSpanContextValid, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Attributes, Context, Span, SpanContext, SpanOptions, Tracer } from '@opentelemetry/api'
import { attempt } from '../../base/guard.ts'
import type { ManagedConnection } from '../../connection/managed-connection.ts'

const NAME = 'fastify-websocket-lifecycle'

/** Asked for once, when it is needed: before an SDK is registered, this is one that asks the SDK. */
let tracer: Tracer | undefined

/** Starts a span; returns undefined if that has failed. */
export function startSpan (name: string, options: SpanOptions, parent: Context): Span | undefined {
  return attempt(() => (tracer ??= trace.getTracer(NAME)).startSpan(name, options, parent), failed) ?? undefined
}

/** Returns the context of a span; undefined if it has no valid one, as without an SDK. */
export function contextOf (span: Span): SpanContext | undefined {
  return attempt(() => {
    const given = span.spanContext()
    return isSpanContextValid(given) ? given : undefined
  }, failed)
}

export function endSpan (span: Span, attributes: Attributes = {}): void {
  attempt(() => span.setAttributes(attributes), failed)
  // It may be async, and reject.
  attempt<unknown>(() => span.end(), failed)
}

/** Marks a span as failed. `type` has few values: the message of an error may contain what must not be traced. */
export function failSpan (span: Span, type: string): void {
  // One that has ended tells OpenTelemetry's logger of each change.
  if (attempt(() => span.isRecording(), failed) !== true) return
  attempt(() => span.setAttribute('error.type', type), failed)
  attempt(() => span.setStatus({ code: SpanStatusCode.ERROR }), failed)
}

/** Returns what each span of a connection says of it. The route of an adopted server is a path, which may contain a token. */
export function attributesOf ({ id, route, requestId }: ManagedConnection): Attributes {
  return { 'network.protocol.name': 'websocket', 'websocket.connection.id': id, ...requestId === '' ? {} : { 'http.route': route } }
}

/** Tells OpenTelemetry's logger what code of the application has thrown. */
export function failed (error: unknown): void {
  attempt(() => { diag.error('a span of fastify-websocket-lifecycle could not be started or ended', error) }, () => {})
}
