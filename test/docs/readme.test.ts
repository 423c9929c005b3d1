import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { DRAIN_PHASES } from '../../lib/track/drain-report.ts'
import { STATES } from '../../lib/connection/connection.ts'
import { CHANNELS } from '../../lib/show/diagnostics.ts'
import { codeIn, readDocument, ROOT, tables } from './markdown.ts'

/** Names of the members of an interface, from its source; a getter with its setter is one. */
function membersOf (name: string, file: string): string[] {
  const source = readFileSync(join(ROOT, 'lib', file), 'utf8')
  const body = new RegExp(`export interface ${name} \\{\\n([^]*?)\\n\\}`).exec(source)![1]!
  const names = [...body.matchAll(/^ {2}(?:readonly |[gs]et )?(\w+)(?=[?:<]| \()/gm)].map(([, member]) => member!)
  return [...new Set(names)]
}

const code = readDocument('README.md').blocks.map(({ text }) => text).join('\n')
const lifecycle = readDocument('docs/explanation/lifecycle.md')

for (const [variable, name, file] of [
  ['connection', 'Connection', 'connection/connection.ts'],
  ['app.sockets', 'Tracker', 'app-sockets.ts']
] as const) {
  test(`the README shows every member of ${name}`, () => {
    const shown = (member: string) => new RegExp(`(?<![\\w.])${variable.replace('.', '\\.')}\\.${member}\\b`).test(code)
    const members = membersOf(name, file)
    assert.ok(members.length > 10)
    // These two are in the text: an adopted server, and the counterpart of `on`.
    assert.deepEqual(members.filter((member) => !shown(member) && !['adopt', 'off'].includes(member)), [])
  })
}

test('docs/explanation/lifecycle.md lists the events, and no others', () => {
  const events = tables(lifecycle, 'event', 'arguments', 'when').map((row) => codeIn(row.event))
  assert.deepEqual(events.toSorted(), Object.keys(CHANNELS).toSorted())
})

test('docs/explanation/lifecycle.md lists the states in their order', () => {
  assert.deepEqual(tables(lifecycle, 'state', 'since', 'now').map((row) => codeIn(row.state)), [...STATES])
})

test('docs/explanation/lifecycle.md names the phases that progress and report name', () => {
  const sentence = /event `progress` and the report name them ([^;]*);/.exec(lifecycle.prose.join(' '))![1]!
  assert.deepEqual([...sentence.matchAll(/`(\w+)`/g)].map(([, phase]) => phase), DRAIN_PHASES.filter((phase) => phase !== 'done'))
})
