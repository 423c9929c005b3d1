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
import { CHANNELS } from '../../lib/show/diagnostics.ts'
import { codeIn, readDocument, ROOT, tables } from './markdown.ts'

const sources = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(join(ROOT, 'lib', file), 'utf8'))
  .join('\n')

/** Names of the members of an interface, from its source; a getter with its setter is one. */
function membersOf (name: string): string[] {
  const body = new RegExp(`export interface ${name}(?: extends \\w+)? \\{\\n([^]*?)\\n\\}`).exec(sources)![1]!
  const names = [...body.matchAll(/^ {2}(?:readonly |[gs]et )?(\w+)(?=[?:<]| \()/gm)].map(([, member]) => member!)
  return [...new Set(names)]
}

const lifecycle = readDocument('docs/explanation/lifecycle.md')

for (const [variable, name, page] of [
  ['connection', 'Connection', 'docs/reference/connection.md'],
  ['app.sockets', 'Tracker', 'docs/reference/tracker.md']
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

test('docs/reference/tracker.md has every field of the statistics, the plan and the report, and no others', () => {
  const rows = tables(readDocument('docs/reference/tracker.md'), 'field', 'what it is')
  const fields = rows.flatMap((row) => [...row.field!.matchAll(/`(\w+)`/g)].map(([, name]) => name!))
  const members = ['TrackerStats', 'Counters', 'DrainPlan', 'DrainReport'].flatMap(membersOf).filter((name) => name !== 'toString')
  assert.deepEqual([...new Set(fields)].toSorted(), [...new Set(members)].toSorted())
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
