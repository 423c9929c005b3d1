/**
 * `fastify-websocket-lifecycle/metrics`: the numbers of the tracker for Prometheus and OpenTelemetry.
 */
import { plugin } from './plugin.ts'

/** The plugin: `app.register(metrics, options)` gives the numbers of `app.sockets.stats()` to Prometheus or OpenTelemetry. */
const metrics: typeof plugin = plugin

export default metrics
export type { MetricsOptions } from './plugin.ts'
export type { InstrumentOptions, MetricsMeter, MetricsObserver } from './opentelemetry.ts'
export type { MetricsRegistry } from './prometheus.ts'
