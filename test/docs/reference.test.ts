/**
 * Reference pages have every member of the types that they describe, and no others.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { CAUSE_CODES } from '../../lib/base/close-codes.ts'
import { DRAIN_PHASES } from '../../lib/track/drain-report.ts'
import { STATES } from '../../lib/connection/connection.ts'
import { CHANNELS, FLEET_CHANNELS } from '../../lib/show/diagnostics.ts'
import { codeIn, readDocument, ROOT, tables } from './markdown.ts'
import type { Document } from './markdown.ts'

const sources = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(join(ROOT, 'lib', file), 'utf8'))
  .join('\n')

/** Names of the members of an interface, from its source; a getter with its setter is one. `Type.member`: those of an object in it. */
function membersOf (name: string): string[] {
  const [type, member] = name.split('.')
  let body = new RegExp(`export interface ${type}(?: extends \\w+)? \\{\\n([^]*?)\\n\\}`).exec(sources)![1]!
  if (member !== undefined) body = new RegExp(`^  ${member}: \\{\\n([^]*?)\\n  \\}`, 'm').exec(body)![1]!.replaceAll(/^ {2}/gm, '')
  const names = [...body.matchAll(/^ {2}(?:readonly |[gs]et )?(\w+)(?=[?:<]| \()/gm)].map(([, member]) => member!)
  return [...new Set(names)]
}

/** The part of a document below a heading, up to the next one. */
function sectionOf (document: Document, heading: string): Document {
  const from = document.prose.findIndex((line) => line.replace(/^#+ /, '') === heading && line.startsWith('#')) + 1
  assert.ok(from > 0, `there is no heading "${heading}"`)
  const length = document.prose.slice(from).findIndex((line) => line.startsWith('#'))
  return { ...document, prose: document.prose.slice(from, length === -1 ? undefined : from + length) }
}

/** Rows of the first table below a heading: the names in the first cell, and the other cells. */
function rowsBelow (document: Document, heading: string): Array<{ names: string[], rest: string }> {
  return sectionOf(document, heading).prose.filter((line) => line.startsWith('| `'))
    .map((line) => line.split(' | '))
    .map(([first, ...rest]) => ({ names: [...first!.matchAll(/`(\w+)`/g)].map(([, name]) => name!), rest: rest.join(' | ') }))
}

/** Names of the fields of an object that is written as `{ a, b: [{ c }] }`: a and b. */
function fieldsOf (cell: string): string[] {
  const inner = /\{ (.*) \}/.exec(/`[^`]*\{[^`]*`/.exec(cell)?.[0] ?? '')?.[1] ?? ''
  return inner.replaceAll(/: \[\{[^}]*\}\]/g, '').split(', ').filter((name) => name !== '')
}

const lifecycle = readDocument('docs/explanation/lifecycle.md')

for (const [variable, name, page] of [
  ['connection', 'Connection', 'docs/reference/connection.md'],
  ['app.sockets', 'Tracker', 'docs/reference/tracker.md'],
  ['engine', 'FleetEngine', 'docs/reference/fleet-engine.md']
] as const) {
  test(`${page} has every member of ${name}`, () => {
    const text = readFileSync(join(ROOT, page), 'utf8')
    const members = membersOf(name)
    assert.ok(members.length > 10)
    assert.deepEqual(members.filter((member) => !new RegExp(`\`${variable.replace('.', '\\.')}\\.${member}\\b`).test(text)), [])
  })
}

test('docs/reference/connection.md has every field of a close record, and no others', () => {
  const fields = tables(readDocument('docs/reference/connection.md'), 'field', 'type', 'what it is').map((row) => codeIn(row.field))
  assert.deepEqual(fields, membersOf('CloseRecord'))
})

const tracker = readDocument('docs/reference/tracker.md')

for (const [heading, ...types] of [
  ['Broadcast results', 'BroadcastResult'],
  ['Statistics', 'TrackerStats', 'Counters'],
  ['Routes', 'RouteStats'],
  ['Fleet', 'FleetStats'],
  ['Histograms', 'Histogram'],
  ['The plan', 'DrainPlan'],
  ['The report', 'DrainReport']
] as const) {
  test(`docs/reference/tracker.md, ${heading}: has every field, and no others`, () => {
    const members = types.flatMap(membersOf).filter((name) => name !== 'toString')
    assert.deepEqual(rowsBelow(tracker, heading).flatMap(({ names }) => names).toSorted(), members.toSorted())
  })
}

for (const [heading, objects] of [
  ['Statistics', { cleanups: 'Counters.cleanups', broadcasts: 'BroadcastCounts', drain: 'TrackerStats.drain' }],
  ['Routes', { closed: 'ClosedCount', messages: 'Traffic', bytes: 'Traffic' }],
  ['Fleet', { nodes: 'FleetStats.nodes', questions: 'FleetStats.questions', orders: 'FleetStats.orders' }],
  ['Events', { refused: 'Refusal', observed: 'Observation', drain: 'DrainStart', progress: 'DrainProgress' }],
  ['The plan', { phases: 'PlanPhase', clients: 'ClientForecast' }],
  ['The report', { connections: 'DrainReport.connections', work: 'DrainReport.work', cleanups: 'DrainReport.cleanups', held: 'Holder', reconnect: 'DrainReport.reconnect' }]
] as const) {
  test(`docs/reference/tracker.md, ${heading}: objects have every field, and no others`, () => {
    const documented = rowsBelow(tracker, heading).map(({ names, rest }) => [names[0]!, fieldsOf(rest).toSorted()] as const).filter(([, fields]) => fields.length > 0)
    assert.deepEqual(Object.fromEntries(documented), Object.fromEntries(Object.entries(objects).map(([field, type]) => [field, membersOf(type).toSorted()])))
  })
}

test('docs/reference/tracker.md, the report: has every phase, and every field of a cleanup that was given up', () => {
  const rows = rowsBelow(tracker, 'The report')
  const rest = (field: string) => rows.find(({ names }) => names[0] === field)!.rest
  assert.deepEqual([...rest('phases').matchAll(/`(\w+)`/g)].map(([, phase]) => phase), DRAIN_PHASES.filter((phase) => phase !== 'done'))
  assert.deepEqual(/abandoned: \[\{ ([^}]*) \}\]/.exec(rest('cleanups'))![1]!.split(', '), membersOf('AbandonedCleanup'))
})

test('docs/reference/close-codes.md has every cause, and no others', () => {
  const causes = tables(readDocument('docs/reference/close-codes.md'), 'cause', 'code and reason')
    .flatMap((row) => row.cause!.split(':')[0]!.split(' ').filter((word) => word.startsWith('`')).map((word) => codeIn(word)!))
  assert.deepEqual([...new Set(causes)].toSorted(), Object.keys(CAUSE_CODES).toSorted())
})

test('docs/reference/tracker.md lists the events, and no others', () => {
  const events = tables(readDocument('docs/reference/tracker.md'), 'event', 'arguments', 'when').map((row) => codeIn(row.event))
  assert.deepEqual(events.toSorted(), Object.keys(CHANNELS).toSorted())
})

test('docs/reference/fleet.md lists the events of the fleet, and no others', () => {
  const events = tables(readDocument('docs/reference/fleet.md'), 'event of the fleet', 'argument', 'when').map((row) => codeIn(row['event of the fleet']))
  assert.deepEqual(events.toSorted(), Object.keys(FLEET_CHANNELS).toSorted())
})

test('docs/reference/tracker.md has every field of an audited act, and no others', () => {
  const fields = tables(readDocument('docs/reference/tracker.md'), 'field of an act', 'what it is').map((row) => codeIn(row['field of an act']))
  assert.deepEqual(fields, membersOf('AuditRecord'))
})

test('docs/reference/tracker.md has every field and every event of a story, and no others', () => {
  const document = readDocument('docs/reference/tracker.md')
  const sentence = /A story is plain data: ([^.]*)\./.exec(document.prose.join(' '))![1]!
  assert.deepEqual([...sentence.matchAll(/`(\w+)`/g)].map(([, field]) => field).toSorted(), membersOf('Story').toSorted())
  const documented = tables(document, 'what', 'more', 'when').map((row) => codeIn(row.what))
  const steps = /what: ('draining'.*)$/m.exec(sources)![1]!
  const events = /what: ('opened'.*)$/m.exec(sources)![1]!
  const names = [...`${events} ${steps}`.replace("Step['what']", '').matchAll(/'([\w ]+)'/g)].map(([, name]) => name!)
  assert.ok(names.length > 8)
  assert.deepEqual(documented.toSorted(), names.toSorted())
})

test('docs/explanation/lifecycle.md lists the states in their order', () => {
  assert.deepEqual(tables(lifecycle, 'state', 'since', 'now').map((row) => codeIn(row.state)), [...STATES])
})

test('docs/explanation/lifecycle.md names the phases that progress and report name', () => {
  const sentence = /event `progress` and the report name them ([^;]*);/.exec(lifecycle.prose.join(' '))![1]!
  assert.deepEqual([...sentence.matchAll(/`(\w+)`/g)].map(([, phase]) => phase), DRAIN_PHASES.filter((phase) => phase !== 'done'))
})
