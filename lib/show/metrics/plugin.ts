/**
 * The plugin: checks its options, and connects the tracker with a registry, a meter, and a route.
 */
import type { FastifyInstance, RouteShorthandOptions } from 'fastify'
import fp from 'fastify-plugin'
import { check } from '../../base/check.ts'
import { knownKeys } from '../../options/keys.ts'
import type { ManagedTracker } from '../../track/managed-tracker.ts'
import { observe } from './opentelemetry.ts'
import type { MetricsMeter } from './opentelemetry.ts'
import { register } from './prometheus.ts'
import type { MetricsRegistry } from './prometheus.ts'

/** Options of the metrics. One of `client`, `register` and `meter` is needed. */
export interface MetricsOptions {
  /** `prom-client` 14 or 15, or `@prometheus-io/client`. */
  client?: {
    /** The default registry of the library. */
    readonly register: MetricsRegistry
  }
  /** The registry for the metrics. @default the default registry of `client` */
  register?: MetricsRegistry
  /** A meter of `@opentelemetry/api` 1.3 or newer, to give the metrics to OpenTelemetry. */
  meter?: MetricsMeter
  /** What the name of each metric begins with. @default '' */
  prefix?: string
  /** Path of a route that answers the text of the registry, or the options of such a route with its `url`. @default none */
  endpoint?: string | (RouteShorthandOptions & {
    /** Path of the route. */
    url: string
  })
}

const KEYS = ['client', 'register', 'meter', 'prefix', 'endpoint', 'logLevel', 'logSerializers', 'encapsulate']
const REGISTRY = ['registerMetric', 'getSingleMetric', 'removeSingleMetric', 'metrics']
const METER = ['createObservableGauge', 'createObservableCounter', 'createObservableUpDownCounter', 'addBatchObservableCallback', 'removeBatchObservableCallback']

async function addMetrics (app: FastifyInstance, given: MetricsOptions): Promise<void> {
  knownKeys('', given, KEYS)
  const { client, meter } = given
  check.where('client', client, undefined, (value) => hasMethods((value as MetricsOptions['client'])?.register, REGISTRY), 'prom-client or @prometheus-io/client')
  const registry = check.where('register', given.register, client?.register, (value) => hasMethods(value, REGISTRY), 'a registry of prom-client or @prometheus-io/client')
  check.where('meter', meter, undefined, (value) => hasMethods(value, METER), 'a meter of @opentelemetry/api')
  const prefix = check.where('prefix', given.prefix, '', (value) => typeof value === 'string' && /^([a-zA-Z_]\w*)?$/.test(value), 'letters, digits and _, no digit first')
  const endpoint = resolveEndpoint(given.endpoint)
  if (registry === undefined && meter === undefined) check.fail('metrics need client (prom-client or @prometheus-io/client), or meter (OpenTelemetry)')
  if (endpoint !== null && registry === undefined) check.conflict('endpoint needs client or register: OpenTelemetry has its own ways out')

  const tracker = app.sockets as ManagedTracker
  const numbers = () => ({ ...tracker.stats(), capacity: tracker.drainCapacity })
  const ends: Array<() => void> = []
  if (registry !== undefined) ends.push(register(registry, prefix, numbers))
  if (meter !== undefined) ends.push(observe(meter, prefix, numbers))
  app.addHook('onClose', async () => { for (const end of ends) end() })
  if (endpoint !== null) {
    app.get(endpoint.url, { logLevel: 'silent', ...endpoint }, async (_request, reply) => reply.type(registry!.contentType).send(await registry!.metrics()))
  }
}

function resolveEndpoint (given: MetricsOptions['endpoint']): (RouteShorthandOptions & { url: string }) | null {
  if (given === undefined) return null
  const route = typeof given === 'string' ? { url: given } : given
  const isPath = typeof route?.url === 'string' && route.url.startsWith('/')
  check.where('endpoint', isPath ? route.url : given, '', () => isPath, 'a path that starts with /, or route options with such a url')
  return route
}

function hasMethods (value: unknown, names: string[]): boolean {
  return typeof value === 'object' && value !== null && names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

export const plugin = fp(addMetrics, {
  name: 'fastify-websocket-lifecycle-metrics',
  dependencies: ['fastify-websocket-lifecycle']
})
