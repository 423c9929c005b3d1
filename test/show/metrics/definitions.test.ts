/**
 * The table of metrics: names, units and labels, and what is read from the numbers of a tracker.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { DEFINITIONS, suffixesOf } from '../../../lib/show/metrics/definitions.ts'
import type { Numbers } from '../../../lib/show/metrics/definitions.ts'
import { fakeStats } from './fake-stats.ts'

/** Samples of a metric as Prometheus writes them. */
function read (name: string, stats: Numbers = fakeStats()): string[] {
  return DEFINITIONS.find((definition) => definition.name === name)!.read(stats).map(({ suffix, labels, value }) =>
    `${suffix}{${Object.entries(labels).map(([label, text]) => `${label}=${text}`).join(',')}} ${value}`)
}

test('names are in snake case with their unit, and counters end in _total', () => {
  assert.equal(new Set(DEFINITIONS.map(({ name }) => name)).size, DEFINITIONS.length)
  for (const { name, type, unit } of DEFINITIONS) {
    assert.match(name, /^ws(_[a-z]+)+$/)
    assert.equal(name.endsWith('_total'), type === 'counter', name)
    assert.equal(name.replace('_total', '').endsWith(`_${unit}`), unit !== '', name)
  }
})

test('samples have the labels and suffixes that the table names', () => {
  for (const definition of DEFINITIONS) {
    const samples = definition.read(fakeStats())
    assert.ok(samples.length > 0, definition.name)
    assert.deepEqual([...new Set(samples.map(({ suffix }) => suffix))], suffixesOf(definition), definition.name)
    for (const { labels } of samples) assert.deepEqual(Object.keys(labels).filter((label) => label !== 'le'), definition.labels, definition.name)
    const keys = samples.map(({ suffix, labels }) => suffix + JSON.stringify(labels))
    assert.equal(new Set(keys).size, keys.length, `${definition.name} has a series twice`)
  }
})

test('connections are shown by route and state', () => {
  assert.deepEqual(read('ws_connections'), [
    '{route=/chat/:room,state=open} 3', '{route=/chat/:room,state=draining} 2', '{route=/chat/:room,state=closing} 1',
    '{route=/feed,state=open} 2', '{route=/feed,state=draining} 0', '{route=/feed,state=closing} 0'
  ])
})

test('connections that were only opened to be refused are refused handshakes alone', () => {
  assert.deepEqual(read('ws_connections_opened_total'), ['{} 14'])
  assert.deepEqual(DEFINITIONS.flatMap(({ name }) => read(name)).filter((line) => line.includes('route=none')), [])
})

test('codes that a client chooses are folded, codes of the server are not', () => {
  assert.deepEqual(read('ws_connections_closed_total'), [
    '{route=/chat/:room,cause=client,code=1000} 1',
    '{route=/chat/:room,cause=client,code=1005} 1',
    '{route=/chat/:room,cause=client,code=other} 2',
    '{route=/chat/:room,cause=network,code=1006} 2',
    '{route=/chat/:room,cause=protocol,code=other} 2'
  ])
  const { routes } = fakeStats()
  routes['/feed']!.closed = [{ cause: 'application', code: '4001', count: 1 }, { cause: 'disconnected', code: 'private', count: 2 }]
  assert.deepEqual(read('ws_connections_closed_total', fakeStats({ routes })).slice(5), ['{route=/feed,cause=application,code=4001} 1', '{route=/feed,cause=disconnected,code=private} 2'])
})

test('histograms are cumulative, in seconds, and end with all values', () => {
  const roundTrips = { bounds: [5, 10, 25, 50, 250, 1_000, 5_000], counts: [1, 2, 0, 4, 0, 0, 8, 16], sum: 2_500, count: 31 }
  assert.deepEqual(read('ws_rtt_seconds', fakeStats({ roundTrips })), [
    '_bucket{le=0.01} 3', '_bucket{le=0.05} 7', '_bucket{le=0.25} 7', '_bucket{le=1} 7', '_bucket{le=5} 15', '_bucket{le=+Inf} 31', '_sum{} 2.5', '_count{} 31'
  ])
})

test('every bucket that is shown is one of those that are counted', () => {
  const shown = (name: string) => read(name).filter((line) => line.startsWith('_bucket')).map((line) => /le=([^}]+)/.exec(line)![1])
  assert.deepEqual(shown('ws_connection_duration_seconds'), ['15', '300', '3600', '43200', '+Inf'])
  assert.deepEqual(shown('ws_handshake_duration_seconds'), ['0.01', '0.05', '0.25', '1', '5', '+Inf'])
  assert.deepEqual(shown('ws_rtt_seconds'), ['0.01', '0.05', '0.25', '1', '5', '+Inf'])
})

test('each reason of a refusal and each outcome of a cleanup is a series from the start', () => {
  const stats = fakeStats({ refused: {}, cleanups: { finished: 0, failed: 0, abandoned: 0 } })
  assert.equal(read('ws_handshakes_refused_total', stats).length, 9)
  assert.deepEqual(read('ws_cleanups_total', stats), ['{outcome=finished} 0', '{outcome=failed} 0', '{outcome=abandoned} 0'])
  assert.ok(read('ws_handshakes_refused_total').includes('{reason=total} 3'))
})

test('an application without broadcasts has no series for them', () => {
  assert.deepEqual(read('ws_broadcast_messages_total', fakeStats({ broadcasts: { sent: 0, queued: 0, dropped: 0, suppressed: 0 } })), [])
  assert.deepEqual(read('ws_broadcast_messages_total'), ['{outcome=sent} 6', '{outcome=queued} 1', '{outcome=dropped} 2', '{outcome=suppressed} 0'])
})

test('the phase of a drain is a number, and what remains is there from its start on', () => {
  assert.deepEqual([read('ws_drain_phase', fakeStats({ drain: null })), read('ws_drain_remaining_seconds', fakeStats({ drain: null }))], [['{} 0'], []])
  assert.deepEqual([read('ws_drain_phase'), read('ws_drain_remaining_seconds')], [['{} 3'], ['{} 2.5']])
})

test('a node says what it knows of its fleet, and an application without a fleet says nothing', () => {
  const shown = (stats?: Numbers) => DEFINITIONS.filter(({ name }) => name.startsWith('ws_fleet_')).flatMap(({ name }) => read(name, stats).map((line) => name + line))
  assert.deepEqual(shown(), [
    'ws_fleet_up{} 1',
    'ws_fleet_nodes{state=running} 7',
    'ws_fleet_nodes{state=draining} 1',
    'ws_fleet_nodes_lost_total{} 1',
    'ws_fleet_capacity{} 250',
    'ws_fleet_arrivals_booked{} 120.5',
    'ws_fleet_questions_total{outcome=complete} 30',
    'ws_fleet_questions_total{outcome=incomplete} 2',
    'ws_fleet_questions_total{outcome=failed} 1',
    'ws_fleet_orders_total{} 5',
    'ws_fleet_orders_waiting{} 1',
    'ws_fleet_messages_ignored_total{} 3'
  ])
  assert.ok(shown(fakeStats({ fleet: { ...fakeStats().fleet!, state: 'down' } })).includes('ws_fleet_up{} 0'))
  assert.deepEqual(shown(fakeStats({ fleet: null })), [])
})

test('without turns there is no capacity of a drain', () => {
  assert.deepEqual([read('ws_drain_capacity'), read('ws_drain_capacity', fakeStats({ capacity: null }))], [['{} 1000'], []])
})
