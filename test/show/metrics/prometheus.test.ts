/**
 * The metrics in registries of prom-client 14 and 15 and of @prometheus-io/client: the text of a scrape, clusters, names taken.
 */
import assert from 'node:assert/strict'
import test, { suite } from 'node:test'
import { DEFINITIONS } from '../../../lib/show/metrics/definitions.ts'
import { register } from '../../../lib/show/metrics/prometheus.ts'
import { fakeStats, samplesIn, valuesIn } from './fake-stats.ts'
import { libraries } from './libraries.ts'

for (const { name, skip, load } of libraries) {
  suite(name, { skip }, () => {
    test('a scrape has every metric of the table, once, with its help and type', async () => {
      const { registry } = await load()
      register(registry, '', fakeStats)
      const text = await registry.metrics()
      for (const { name, help, type } of DEFINITIONS) assert.ok(text.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}`), name)
      const values = valuesIn(text)
      assert.equal(values.size, samplesIn(text).length)
      assert.equal(values.get('ws_connections{route="/chat/:room",state="open"}'), 3)
      assert.equal(values.get('ws_rtt_seconds_bucket{le="+Inf"}'), values.get('ws_rtt_seconds_count'))
      assert.equal(values.get('ws_rtt_seconds_sum'), 1.5)
      assert.equal(values.get('ws_connections_closed_total{route="/chat/:room",cause="client",code="other"}'), 2)
    })

    test('OpenMetrics gets the samples of Prometheus, at each scrape', async (t) => {
      const { registry, client } = await load()
      register(registry, '', fakeStats)
      const expected = samplesIn(await registry.metrics())
      if (client.openMetricsContentType === undefined) return t.skip('this library has no OpenMetrics')
      registry.setContentType(client.openMetricsContentType)
      for (let scrape = 0; scrape < 2; scrape++) {
        const text = await registry.metrics()
        assert.deepEqual(samplesIn(text), expected)
        assert.match(text, /^# TYPE ws_faults counter$/m)
      }
    })

    test('a scrape reads the numbers once', async () => {
      const { registry } = await load()
      let reads = 0
      register(registry, '', () => { reads++; return fakeStats() })
      await registry.metrics()
      assert.equal(reads, 1)
      await registry.getMetricsAsJSON()
      assert.equal(reads, 2)
    })

    test('the processes of a cluster are added up, the phase of a drain is the furthest', async () => {
      const { registry, aggregate } = await load()
      register(registry, '', fakeStats)
      const one = await registry.getMetricsAsJSON()
      const values = valuesIn(await aggregate([structuredClone(one), structuredClone(one)]).metrics())
      assert.equal(values.get('ws_connections{route="/chat/:room",state="open"}'), 6)
      assert.equal(values.get('ws_rtt_seconds_count'), 28)
      assert.equal(values.get('ws_rtt_seconds_bucket{le="0.01"}'), 8)
      assert.equal(values.get('ws_drain_phase'), 3)
      assert.equal(values.get('ws_fleet_up'), 1)
      assert.equal(values.get('ws_fleet_nodes{state="running"}'), 7)
      assert.equal(values.get('ws_fleet_capacity'), 500)
      assert.equal(values.get('ws_drain_remaining_seconds'), 2.5)
    })

    test('a name that is taken is an error that says what to do, and nothing is added', async () => {
      const { registry, client } = await load()
      // eslint-disable-next-line no-new -- adds itself
      new client.Gauge({ name: 'ws_owners', help: 'another', registers: [registry] })
      assert.throws(() => register(registry, '', fakeStats), { code: 'SOCKETS_ERR_OPTION_CONFLICT', message: /"ws_owners".*give each a register or a prefix/ })
      assert.equal(registry.getMetricsAsArray().length, 1)
      register(registry, 'chat_', fakeStats)
      assert.equal(registry.getMetricsAsArray().length, 1 + DEFINITIONS.length)
    })

    test('what was added is removed, and what another has put in its place is left', async () => {
      const { registry, client } = await load()
      const remove = register(registry, '', fakeStats)
      registry.resetMetrics()
      assert.equal(valuesIn(await registry.metrics()).get('ws_owners'), 4)
      registry.removeSingleMetric('ws_owners')
      // eslint-disable-next-line no-new -- adds itself
      new client.Gauge({ name: 'ws_owners', help: 'another', registers: [registry] })
      remove()
      assert.deepEqual(registry.getMetricsAsArray().map(({ name }) => name), ['ws_owners'])
    })
  })
}
