/** Tracing beside @fastify/otel, which never ends the spans of handshakes by itself. */
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { recordSpans } from '../../helpers/spans.ts'
import { testLifecycle } from './lifecycle.ts'

const spans = recordSpans()
const otel = new FastifyOtelInstrumentation()

testLifecycle(spans, { name: 'with @fastify/otel', before: async (app) => { await app.register(otel.plugin()) }, others: ['request'], handler: 'handler - room' })
