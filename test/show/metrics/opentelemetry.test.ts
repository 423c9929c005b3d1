/**
 * The metrics over OpenTelemetry: on their way to Prometheus they are the same series as those of prom-client.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { Registry } from 'prom-client'
import { observe } from '../../../lib/show/metrics/opentelemetry.ts'
import { register } from '../../../lib/show/metrics/prometheus.ts'
import { fakeStats, samplesIn } from './fake-stats.ts'

class Reader extends MetricReader {
  protected override async onForceFlush (): Promise<void> {}
  protected override async onShutdown (): Promise<void> {}
}

function makeMeter () {
  const reader = new Reader()
  const provider = new MeterProvider({ readers: [reader] })
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true)
  return {
    meter: provider.getMeter('test'),
    async collect () {
      const { resourceMetrics, errors } = await reader.collect()
      assert.deepEqual(errors, [])
      return { resourceMetrics, text: serializer.serialize(resourceMetrics) }
    }
  }
}

test('OpenTelemetry exports the series that Prometheus scrapes', async () => {
  const { meter, collect } = makeMeter()
  observe(meter, 'chat_', fakeStats)
  const registry = new Registry()
  register(registry, 'chat_', fakeStats)
  assert.deepEqual(samplesIn((await collect()).text), samplesIn(await registry.metrics()))
})

test('instruments have the help of the table, and units of UCUM', async () => {
  const { meter, collect } = makeMeter()
  observe(meter, '', fakeStats)
  const { resourceMetrics } = await collect()
  const descriptors = new Map(resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics.map(({ descriptor }) => [descriptor.name, descriptor])))
  assert.deepEqual(['ws_connections', 'ws_bytes_total', 'ws_rtt_seconds_sum', 'ws_rtt_seconds_count', 'ws_drain_remaining_seconds'].map((name) => descriptors.get(name)!.unit), ['', 'By', 's', '', 's'])
  assert.equal(descriptors.get('ws_rtt_seconds_bucket')!.description, 'Round trips, from a ping to its pong.')
})

test('a collection reads the numbers once, and none after the end', async () => {
  const { meter, collect } = makeMeter()
  let reads = 0
  const end = observe(meter, '', () => { reads++; return fakeStats() })
  await collect()
  assert.equal(reads, 1)
  end()
  await collect()
  assert.equal(reads, 1)
})
