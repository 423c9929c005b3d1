/**
 * The libraries that the metrics are tested with: what they have in common, and a new registry of each.
 */
import type { MetricsRegistry } from '../../../lib/show/metrics/index.ts'

/** A registry, with what the tests use beside what the metrics use. */
export interface Registry extends MetricsRegistry {
  setContentType (type: string): void
  getMetricsAsJSON (): Promise<object[]>
  getMetricsAsArray (): Array<{ name: string }>
  resetMetrics (): void
}

export interface Library {
  register: Registry
  Registry: (new () => Registry) & { aggregate? (metrics: object[][]): Registry }
  AggregatorRegistry?: { aggregate (metrics: object[][]): Registry }
  Gauge: new (options: { name: string, help: string, registers: Registry[] }) => object
  openMetricsContentType?: string
}

const isOld = Number(process.versions.node.split('.')[0]) < 22

/** Each library, and why it cannot be tested here. */
export const libraries = [
  { name: 'prom-client', skip: false },
  { name: 'prom-client-14', skip: false },
  { name: '@prometheus-io/client', skip: isOld && 'it needs Node 22 or newer' }
].map(({ name, skip }) => ({
  name,
  skip,
  async load () {
    const { default: client } = await import(name) as { default: Library }
    const aggregate = (metrics: object[][]) => (client.Registry.aggregate === undefined ? client.AggregatorRegistry! : client.Registry as Required<Library['Registry']>).aggregate(metrics)
    return { client, registry: new client.Registry(), aggregate }
  }
}))
