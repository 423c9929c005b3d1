/**
 * Each alert fires when it should, and is silent just before: promtool evaluates the rules over made-up series.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { locate, missing } from '../helpers/optional.ts'
import { alerts, FOLDER } from './promql.ts'

/** Series → values, one a minute, as promtool writes them: `5+2x10` is 5, 7, … 25. `@` is the server. */
type Series = Record<string, string>

interface Case {
  /** Minutes after the first values. */
  at: number
  fires: Series
  silent: Series
  /** Labels of the alert beside its severity. */
  labels?: Record<string, string>
}

const SERVER = { job: 'chat', instance: 'a' }
const JOB = { job: 'chat' }

const CASES: Record<string, Case> = {
  WebSocketDrainOverBudget: {
    at: 2,
    labels: SERVER,
    fires: { 'ws_drain_remaining_seconds{@}': '8 4 0', 'ws_drain_phase{@}': '3 4 5' },
    // It has ended in time.
    silent: { 'ws_drain_remaining_seconds{@}': '8 4 0', 'ws_drain_phase{@}': '3 4 6' }
  },
  WebSocketDrainDoesNotFit: {
    at: 15,
    labels: SERVER,
    fires: { 'ws_connections{@,route="/a",state="open"}': '700x20', 'ws_connections{@,route="/b",state="open"}': '301x20', 'ws_drain_capacity{@}': '1000x20' },
    silent: { 'ws_connections{@,route="/a",state="open"}': '700x20', 'ws_connections{@,route="/b",state="open"}': '300x20', 'ws_drain_capacity{@}': '1000x20' }
  },
  WebSocketCleanupsAbandoned: {
    at: 5,
    labels: JOB,
    fires: { 'ws_cleanups_total{@,outcome="abandoned"}': '0 0 0 1 1 1' },
    silent: { 'ws_cleanups_total{@,outcome="abandoned"}': '7x10', 'ws_cleanups_total{@,outcome="finished"}': '0+9x10' }
  },
  WebSocketCleanupsFailing: {
    at: 20,
    labels: JOB,
    fires: { 'ws_cleanups_total{@,outcome="failed"}': '0+1x20' },
    silent: { 'ws_cleanups_total{@,outcome="failed"}': '3x20', 'ws_cleanups_total{@,outcome="abandoned"}': '0+1x20' }
  },
  WebSocketReconnectStorm: {
    at: 10,
    labels: JOB,
    fires: { 'ws_connections_opened_total{@}': '0+600x20', 'ws_connections{@,route="/a",state="open"}': '1000x20' },
    // A deploy: all of them, in two minutes.
    silent: { 'ws_connections_opened_total{@}': '0x6 600 1200x12', 'ws_connections{@,route="/a",state="open"}': '1000x20' }
  },
  WebSocketDeadPeersRising: {
    at: 80,
    labels: JOB,
    fires: { 'ws_connections_closed_total{@,route="/a",cause="heartbeat",code="1006"}': '0+1x60 70+10x20' },
    silent: { 'ws_connections_closed_total{@,route="/a",cause="heartbeat",code="1006"}': '0+10x80' }
  },
  WebSocketAbruptCloses: {
    at: 30,
    labels: JOB,
    fires: { 'ws_connections_closed_total{@,route="/a",cause="network",code="1006"}': '0+11x30', 'ws_connections_closed_total{@,route="/a",cause="client",code="1000"}': '0+9x30' },
    silent: { 'ws_connections_closed_total{@,route="/a",cause="network",code="1006"}': '0+9x30', 'ws_connections_closed_total{@,route="/a",cause="client",code="1000"}': '0+11x30' }
  },
  WebSocketSlowPeers: {
    at: 20,
    labels: JOB,
    fires: { 'ws_connections_closed_total{@,route="/a",cause="slow",code="4008"}': '0+2x20', 'ws_connections{@,route="/a",state="open"}': '1000x20' },
    silent: { 'ws_connections_closed_total{@,route="/a",cause="slow",code="4008"}': '0+2x20', 'ws_connections{@,route="/a",state="open"}': '3000x20' }
  },
  WebSocketBroadcastsDropped: {
    at: 15,
    labels: JOB,
    fires: { 'ws_broadcast_messages_total{@,outcome="dropped"}': '0+2x20', 'ws_broadcast_messages_total{@,outcome="sent"}': '0+100x20' },
    // What a drain suppresses is not dropped.
    silent: { 'ws_broadcast_messages_total{@,outcome="dropped"}': '0x20', 'ws_broadcast_messages_total{@,outcome="suppressed"}': '0+50x20', 'ws_broadcast_messages_total{@,outcome="sent"}': '0+100x20' }
  },
  WebSocketHandshakesRefused: {
    at: 15,
    labels: JOB,
    fires: { 'ws_handshakes_refused_total{@,reason="perAddress"}': '0+6x20', 'ws_connections_opened_total{@}': '0+94x20' },
    silent: { 'ws_handshakes_refused_total{@,reason="perAddress"}': '0+4x20', 'ws_handshakes_refused_total{@,reason="draining"}': '0+50x20', 'ws_connections_opened_total{@}': '0+96x20' }
  },
  WebSocketHandshakesSlow: {
    at: 15,
    labels: JOB,
    fires: { 'ws_handshake_duration_seconds_bucket{@,le="1"}': '0+90x20', 'ws_handshake_duration_seconds_bucket{@,le="5"}': '0+100x20', 'ws_handshake_duration_seconds_bucket{@,le="+Inf"}': '0+100x20' },
    silent: { 'ws_handshake_duration_seconds_bucket{@,le="1"}': '0+96x20', 'ws_handshake_duration_seconds_bucket{@,le="5"}': '0+100x20', 'ws_handshake_duration_seconds_bucket{@,le="+Inf"}': '0+100x20' }
  },
  WebSocketRoundTripsSlow: {
    at: 25,
    labels: JOB,
    fires: { 'ws_rtt_seconds_bucket{@,le="1"}': '0+90x30', 'ws_rtt_seconds_bucket{@,le="5"}': '0+100x30', 'ws_rtt_seconds_bucket{@,le="+Inf"}': '0+100x30' },
    silent: { 'ws_rtt_seconds_bucket{@,le="1"}': '0+96x30', 'ws_rtt_seconds_bucket{@,le="5"}': '0+100x30', 'ws_rtt_seconds_bucket{@,le="+Inf"}': '0+100x30' }
  },
  WebSocketFaults: {
    at: 20,
    labels: JOB,
    fires: { 'ws_faults_total{@}': '0+1x20' },
    silent: { 'ws_faults_total{@}': '12x20' }
  },
  WebSocketWorkStuck: {
    at: 20,
    labels: SERVER,
    fires: { 'ws_work_in_flight{@}': '60x20', 'ws_connections{@,route="/a",state="open"}': '100x20' },
    // It ends after ten minutes.
    silent: { 'ws_work_in_flight{@}': '60x10 0x10', 'ws_connections{@,route="/a",state="open"}': '100x20' }
  },
  WebSocketOwnerLeak: {
    at: 15,
    labels: SERVER,
    fires: { 'ws_owners{@}': '101x20', 'ws_connections{@,route="/a",state="open"}': '60x20', 'ws_connections{@,route="/a",state="closing"}': '40x20' },
    silent: { 'ws_owners{@}': '100x20', 'ws_connections{@,route="/a",state="open"}': '60x20', 'ws_connections{@,route="/a",state="closing"}': '40x20' }
  },
  WebSocketFleetDown: {
    at: 5,
    labels: JOB,
    fires: { 'ws_fleet_up{@}': '1 1 0 0 0 0', 'ws_fleet_up{job="chat",instance="b"}': '1x5' },
    // One scrape between two beats.
    silent: { 'ws_fleet_up{@}': '1 1 1 0 1 0', 'ws_fleet_up{job="chat",instance="b"}': '1x5' }
  },
  WebSocketFleetNodeLost: {
    at: 15,
    labels: JOB,
    // `b` is killed; the node that finds it counts it.
    fires: { 'ws_fleet_nodes_lost_total{@}': '0x9 1x10', 'ws_fleet_nodes_lost_total{job="chat",instance="b"}': '0x5 _x15', 'ws_fleet_nodes{@,state="running"}': '2x9 1x10' },
    // A deploy: it has left.
    silent: { 'ws_fleet_nodes_lost_total{@}': '2x20', 'ws_fleet_nodes_lost_total{job="chat",instance="b"}': '0x5 _x15', 'ws_fleet_nodes{@,state="running"}': '2x9 1x10' }
  },
  WebSocketFleetArrivalsOverCapacity: {
    at: 10,
    labels: JOB,
    // 60 and 50 clients a second on two nodes; the third one leaves, and takes none.
    fires: { 'ws_connections_opened_total{@}': '0+3600x20', 'ws_connections_opened_total{job="chat",instance="b"}': '0+3000x20', 'ws_fleet_capacity{@}': '50x20', 'ws_fleet_capacity{job="chat",instance="b"}': '50x20', 'ws_fleet_capacity{job="chat",instance="c"}': '0x20' },
    // As many as two nodes can take, not evenly; and what a server without a fleet takes is its own affair.
    silent: { 'ws_connections_opened_total{@}': '0+3600x20', 'ws_connections_opened_total{job="chat",instance="b"}': '0+2400x20', 'ws_fleet_capacity{@}': '50x20', 'ws_fleet_capacity{job="chat",instance="b"}': '50x20', 'ws_connections_opened_total{job="other",instance="d"}': '0+60000x20', 'ws_connections_opened_total{job="chat",instance="e"}': '0+60000x20' }
  },
  WebSocketMetricsMissing: {
    at: 10,
    fires: { 'up{@}': '0x20' },
    silent: { 'ws_drain_phase{@}': '0x20' }
  }
}

test('there is a case for each alert', () => {
  assert.deepEqual(Object.keys(CASES), alerts.map(({ alert }) => alert))
})

function unitTest (alert: string, { at, labels = {} }: Case, series: Series, fires: boolean): object {
  const { labels: { severity }, annotations } = alerts.find((rule) => rule.alert === alert)!
  return {
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name.replace('@', 'job="chat",instance="a"'), values })),
    alert_rule_test: [{ eval_time: `${at}m`, alertname: alert, exp_alerts: fires ? [{ exp_labels: { severity, ...labels }, exp_annotations: annotations }] : [] }]
  }
}

/** Runs promtool over a file of rules with these unit tests. */
function runPromtool (tests: object[]): { status: number | null, output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'))
  try {
    // JSON is YAML.
    writeFileSync(join(folder, 'test.json'), JSON.stringify({ rule_files: [join(FOLDER, 'alerts.yml')], evaluation_interval: '1m', tests }))
    const { status, stdout, stderr } = spawnSync(locate('promtool')!, ['test', 'rules', join(folder, 'test.json')], { encoding: 'utf8', timeout: 120_000 })
    return { status, output: stdout + stderr }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('each alert fires in its case, and is silent in the other', { skip: missing('promtool') }, () => {
  const { status, output } = runPromtool(Object.entries(CASES).flatMap(([alert, each]) => [unitTest(alert, each, each.fires, true), unitTest(alert, each, each.silent, false)]))
  assert.equal(status, 0, output)
})

test('promtool finds an alert that is silent when it should fire', { skip: missing('promtool') }, () => {
  const [alert, each] = Object.entries(CASES)[0]!
  assert.notEqual(runPromtool([unitTest(alert, each, each.silent, true)]).status, 0)
})
