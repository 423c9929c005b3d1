// Checked by tsd against dist/: the tracing entry as TypeScript users may write it, and what must be refused.
import { trace, type SpanContext } from '@opentelemetry/api'
import Fastify from 'fastify'
import sockets, { type Connection, type TraceContext } from 'fastify-websocket-lifecycle'
import tracing, { type TracingOptions } from 'fastify-websocket-lifecycle/tracing'
import { expectAssignable, expectError, expectType } from 'tsd'

const app = Fastify()
await app.register(sockets)
await app.register(tracing)
for (const messages of [false, 'inherit', 'all'] as const) await app.register(tracing, { messages })
expectError(app.register(tracing, { messages: true }))
expectError(app.register(tracing, { message: 'all' }))
expectAssignable<TracingOptions>({})

declare const connection: Connection
expectType<TraceContext | undefined>(connection.traceContext)
// OpenTelemetry takes it.
expectAssignable<SpanContext>(connection.traceContext!)
trace.wrapSpanContext(connection.traceContext!)
expectError(connection.traceContext = undefined)
