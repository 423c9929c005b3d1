// The Grafana dashboard, as code. `npm run dashboard` writes dashboard.json from it, which Grafana imports.
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { DashboardBuilder, DatasourceVariableBuilder, MappingType, QueryVariableBuilder, RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard'
import { ReduceDataOptionsBuilder, StackingConfigBuilder, StackingMode } from '@grafana/grafana-foundation-sdk/common'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

/** A variable of Grafana. */
const DATASOURCE = { type: 'prometheus', uid: '$datasource' }
const SELECTOR = 'job=~"$job", instance=~"$instance"'
const PHASES = ['no drain', 'settle', 'notify', 'grace', 'close', 'cleanup', 'done']

interface Panel {
  title: string
  /** Expression → legend; in an expression `{}` stands for the chosen servers, `[]` for the time between two points. */
  queries: Record<string, string>
  unit?: string
  description: string
  stacked?: boolean
}

/** A small number on top. */
const NUMBERS: Panel[] = [
  { title: 'Connections', queries: { 'sum(ws_connections{})': '' }, description: 'Open, draining and closing connections of all servers.' },
  { title: 'Clients expected', queries: { 'sum(ws_connections_expected{})': '' }, description: 'Connected clients, and those that come back soon. A deploy does not move it.' },
  { title: 'Owners', queries: { 'sum(ws_owners{})': '' }, description: 'Distinct owners on each server, added up.' },
  { title: 'Room to drain', unit: 'percentunit', queries: { 'min(1 - sum without (route, state) (ws_connections{}) / ws_drain_capacity{})': '' }, description: 'What is left, on the fullest server, until a drain has to tell clients to wait.' },
  { title: 'Drain', queries: { 'max(ws_drain_phase{})': '' }, description: 'The furthest drain.' },
  { title: 'Drain: time left', unit: 's', queries: { 'min(ws_drain_remaining_seconds{} and ws_drain_phase{} < 6)': '' }, description: 'What the slowest drain has left of its budget.' }
]

const ROWS: Record<string, Panel[]> = {
  'Connections over time': [
    { title: 'Connections by route', stacked: true, queries: { 'sum by (route) (ws_connections{})': '{{route}}' }, description: 'Which route has the connections.' },
    { title: 'Connections by state', stacked: true, queries: { 'sum by (state) (ws_connections{})': '{{state}}' }, description: 'Draining and closing connections should be few outside of a deploy.' },
    { title: 'Connections by server', queries: { 'sum by (instance) (ws_connections{})': '{{instance}}' }, description: 'Servers of one load balancer should have about the same number.' },
    { title: 'Opened, closed and refused', unit: 'cps', queries: { 'sum(rate(ws_connections_opened_total{}[]))': 'opened', 'sum(rate(ws_connections_closed_total{}[]))': 'closed', 'sum(rate(ws_handshakes_refused_total{}[]))': 'refused' }, description: 'A reconnect storm shows in the first two.' },
    { title: 'Closed, by cause', unit: 'cps', stacked: true, queries: { 'sum by (cause) (rate(ws_connections_closed_total{}[]))': '{{cause}}' }, description: 'heartbeat: dead peers. slow: clients that do not read. network: no close frame.' },
    { title: 'Closed by clients, by code', unit: 'cps', queries: { 'sum by (code) (rate(ws_connections_closed_total{cause="client", }[]))': '{{code}}' }, description: '1001: a page was left. 1005: without a code.' },
    { title: 'Refused, by reason', unit: 'cps', queries: { 'sum by (reason) (rate(ws_handshakes_refused_total{}[]))': '{{reason}}' }, description: 'draining is normal in a deploy.' },
    { title: 'Life of connections', unit: 's', queries: { 'histogram_quantile(0.5, sum by (le) (rate(ws_connection_duration_seconds_bucket{}[])))': 'half', 'histogram_quantile(0.95, sum by (le) (rate(ws_connection_duration_seconds_bucket{}[])))': '95 %' }, description: 'Of closed connections. Short ones are a reconnect loop.' }
  ],
  Traffic: [
    { title: 'Messages', unit: 'cps', queries: { 'sum by (direction) (rate(ws_messages_total{}[]))': '{{direction}}' }, description: 'Messages of all routes.' },
    { title: 'Messages received, by route', unit: 'cps', stacked: true, queries: { 'sum by (route) (rate(ws_messages_total{direction="received", }[]))': '{{route}}' }, description: 'Which route is busy.' },
    { title: 'Payload', unit: 'Bps', queries: { 'sum by (direction) (rate(ws_bytes_total{}[]))': '{{direction}}' }, description: 'Payload of messages, without frames and TCP.' },
    { title: 'Broadcasts, by outcome', unit: 'cps', queries: { 'sum by (outcome) (rate(ws_broadcast_messages_total{}[]))': '{{outcome}}' }, description: 'dropped: slow clients missed a message.' },
    { title: 'Round trips', unit: 's', queries: { 'histogram_quantile(0.5, sum by (le) (rate(ws_rtt_seconds_bucket{}[])))': 'half', 'histogram_quantile(0.95, sum by (le) (rate(ws_rtt_seconds_bucket{}[])))': '95 %' }, description: 'From a ping to its pong; only silent clients are pinged.' },
    { title: 'Handshakes', unit: 's', queries: { 'histogram_quantile(0.5, sum by (le) (rate(ws_handshake_duration_seconds_bucket{}[])))': 'half', 'histogram_quantile(0.95, sum by (le) (rate(ws_handshake_duration_seconds_bucket{}[])))': '95 %' }, description: 'From the upgrade request to the open socket: hooks and authentication.' }
  ],
  'Application and drain': [
    { title: 'Work in flight', queries: { 'sum by (instance) (ws_work_in_flight{})': '{{instance}}' }, description: 'Connections that a drain would wait for.' },
    { title: 'Faults', unit: 'cps', queries: { 'sum by (instance) (rate(ws_faults_total{}[]))': '{{instance}}' }, description: 'Errors of handlers and listeners. The log has each.' },
    { title: 'Cleanups, by outcome', unit: 'cps', queries: { 'sum by (outcome) (rate(ws_cleanups_total{}[]))': '{{outcome}}' }, description: 'abandoned: given up after cleanupTimeout.' },
    { title: 'Policies that only observe', unit: 'cps', queries: { 'sum by (policy) (rate(ws_observed_total{}[]))': '{{policy}}' }, description: 'What would happen without mode observe.' },
    { title: 'Drains: phase', queries: { 'max by (instance) (ws_drain_phase{})': '{{instance}}' }, description: PHASES.map((phase, value) => `${value} ${phase}`).join(', ') },
    { title: 'Connections and capacity of a drain', queries: { 'max by (instance) (sum without (route, state) (ws_connections{}))': '{{instance}}', 'min(ws_drain_capacity{})': 'capacity' }, description: 'Above the capacity a drain has to tell clients to wait.' }
  ],
  // Empty without the option `fleet`.
  Fleet: [
    { title: 'Nodes', queries: { 'max by (job, state) (ws_fleet_nodes{})': '{{job}} {{state}}' }, description: 'As the node with the widest view sees them. More nodes than servers here: some are not scraped.' },
    { title: 'Nodes that the engine answers', queries: { 'sum by (job) (ws_fleet_up{})': '{{job}}' }, description: 'Nodes without an engine go on alone.' },
    { title: 'Arrivals and capacity', unit: 'cps', queries: { 'sum(rate(ws_connections_opened_total{}[]))': 'opened', 'max(ws_fleet_arrivals_booked{})': 'booked', 'sum(ws_fleet_capacity{})': 'capacity' }, description: 'Clients a second: those that came, those that nodes which leave have booked for now, and what all nodes can take.' },
    { title: 'Questions to other nodes, by outcome', unit: 'cps', queries: { 'sum by (outcome) (rate(ws_fleet_questions_total{}[]))': '{{outcome}}' }, description: 'incomplete: a node has not answered. failed: the engine did not answer.' },
    { title: 'Orders', queries: { 'sum(increase(ws_fleet_orders_total{}[]))': 'carried out', 'sum(ws_fleet_orders_waiting{})': 'waiting' }, description: 'Waiting: a node has not carried out a disconnect, a move or a drain yet.' },
    { title: 'Nodes lost, messages ignored', queries: { 'sum(increase(ws_fleet_nodes_lost_total{}[]))': 'nodes lost', 'sum(increase(ws_fleet_messages_ignored_total{}[]))': 'messages ignored' }, description: 'Lost: killed, frozen or cut off. Ignored: messages of other versions or other programs.' }
  ]
}

/** Writes out what `{}` and `[]` stand for. */
function written (expression: string): string {
  return expression.replaceAll('{}', `{${SELECTOR}}`).replaceAll(', }', `, ${SELECTOR}}`).replaceAll('[]', '[$__rate_interval]')
}

const query = (expression: string, legend: string) => new DataqueryBuilder().expr(written(expression)).legendFormat(legend || '__auto')

function stat ({ title, queries, unit = 'none', description }: Panel): StatBuilder {
  const panel = new StatBuilder().title(title).description(description).datasource(DATASOURCE).unit(unit).height(4).span(4).reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
  for (const [expression, legend] of Object.entries(queries)) panel.withTarget(query(expression, legend))
  if (title === 'Drain') panel.mappings([{ type: MappingType.ValueToText, options: Object.fromEntries(PHASES.map((text, index) => [String(index), { text, index }])) }])
  return panel
}

function graph ({ title, queries, unit = 'short', description, stacked = false }: Panel): TimeseriesBuilder {
  const panel = new TimeseriesBuilder().title(title).description(description).datasource(DATASOURCE).unit(unit).min(0).height(8).span(8).lineWidth(1).fillOpacity(stacked ? 30 : 5)
  if (stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal))
  for (const [expression, legend] of Object.entries(queries)) panel.withTarget(query(expression, legend))
  return panel
}

/** Makes the dashboard. */
export function makeDashboard (): Dashboard {
  const variable = (name: string, label: string, values: string) => new QueryVariableBuilder(name).label(label).datasource(DATASOURCE).query({ query: values, refId: name }).multi(true).includeAll(true).allValue('.*').current({ text: 'All', value: '$__all' }).refresh(2)
  const dashboard = new DashboardBuilder('WebSockets').uid('fastify-websocket-lifecycle').tags(['websocket', 'fastify']).time({ from: 'now-1h', to: 'now' }).refresh('10s')
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(variable('job', 'Job', 'label_values(ws_connections_expected, job)'))
    .withVariable(variable('instance', 'Server', 'label_values(ws_connections_expected{job=~"$job"}, instance)'))
  for (const panel of NUMBERS) dashboard.withPanel(stat(panel))
  for (const [title, panels] of Object.entries(ROWS)) {
    dashboard.withRow(new RowBuilder(title))
    for (const panel of panels) dashboard.withPanel(graph(panel))
  }
  return dashboard.build()
}
