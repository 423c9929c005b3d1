// Checked by tsd against dist/: the metrics entry as TypeScript users may write it, and what must be refused.
import { metrics as api } from '@opentelemetry/api'
import * as successor from '@prometheus-io/client'
import Fastify from 'fastify'
import sockets from 'fastify-websocket-lifecycle'
import metrics, { type MetricsMeter, type MetricsOptions, type MetricsRegistry } from 'fastify-websocket-lifecycle/metrics'
import * as client from 'prom-client'
import * as older from 'prom-client-14'
import { expectAssignable, expectError, expectNotAssignable } from 'tsd'

const app = Fastify()
await app.register(sockets)

await app.register(metrics, { client })
await app.register(metrics, { client: older, prefix: 'chat_' })
await app.register(metrics, { client: successor, register: new successor.Registry(), endpoint: '/metrics' })
await app.register(metrics, { register: new client.Registry(), endpoint: { url: '/metrics', preHandler: (_request, _reply, done) => { done() } } })
await app.register(metrics, { meter: api.getMeter('test') })
expectError(app.register(metrics, { client: {} }))
expectError(app.register(metrics, { client, register: 'default' }))
expectError(app.register(metrics, { client, endpoint: {} }))
expectError(app.register(metrics, { client, registry: new client.Registry() }))

expectAssignable<MetricsRegistry>(client.register)
expectAssignable<MetricsRegistry>(older.register)
expectAssignable<MetricsRegistry>(successor.register)
expectAssignable<MetricsMeter>(api.getMeter('test'))
expectNotAssignable<MetricsOptions['meter']>({})
