/**
 * What CONTRIBUTING.md and the architecture page say of the sources: the example of a policy works, the map is current, and the files
 * they name are there.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Hooks } from '../../lib/connection/hooks.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { createFakeHost } from '../helpers/fake-host.ts'
import { exists, readDocument, ROOT } from './markdown.ts'

const GUIDE = 'CONTRIBUTING.md'
const PAGES = [GUIDE, 'docs/explanation/architecture.md']

interface Example { wire (hooks: Hooks<ManagedConnection>, options: { maxMessages: number | false }): void }

/** The policy of the guide with its line of wiring, as a module. */
async function loadExample (t: { after (callback: () => void): void }): Promise<Example> {
  const [policy, line] = readDocument(GUIDE).blocks.filter(({ language }) => language === 'typescript').map(({ text }) => text)
  const folder = mkdtempSync(join(tmpdir(), 'policy-'))
  t.after(() => { rmSync(folder, { recursive: true }) })
  const file = join(folder, 'max-messages.ts')
  const source = policy!.replaceAll("from '../", `from '${pathToFileURL(join(ROOT, 'lib')).href}/`)
  writeFileSync(file, `${source}\nexport function wire (hooks, options) {\n${line!}\n}\n`)
  return await import(pathToFileURL(file).href) as Example
}

test('the policy that the guide shows takes its one line of wiring, and works', async (t) => {
  const { wire } = await loadExample(t)
  const host = createFakeHost()
  wire(host.hooks, { maxMessages: 2 })
  const [{ connection, socket }, { socket: other }] = [host.connect(), host.connect()]
  for (const text of ['a', 'b', 'c']) socket.peerSends(text)
  other.peerSends('x')
  await host.clock.flush()
  assert.deepEqual([socket.delivered, socket.closeFrame, other.delivered], [['a', 'b'], { code: 1008, reason: 'no more messages' }, ['x']])
  assert.deepEqual([connection.state, host.connect().connection.state], ['closing', 'open'])
})

test('the policy that the guide shows can be switched off', async (t) => {
  const { wire } = await loadExample(t)
  const host = createFakeHost()
  wire(host.hooks, { maxMessages: false })
  const { socket } = host.connect()
  for (const text of ['a', 'b', 'c']) socket.peerSends(text)
  await host.clock.flush()
  assert.deepEqual(socket.delivered, ['a', 'b', 'c'])
})

test('the map of the rooms is current', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts/map.js'), '--check'], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
})

test('files and folders of the sources that the pages name are there', () => {
  const named = PAGES.flatMap((path) => readDocument(path).prose.flatMap((line) => [...line.matchAll(/`((?:lib|test)\/[\w/.-]*)`/g)].map(([, file]) => file!)))
  assert.ok(named.length > 15)
  // The file of the example.
  const made = /max-messages/
  assert.deepEqual(named.filter((file) => !made.test(file) && !exists(file)), [])
})

test('every room has its line in the table of the architecture page', () => {
  const table = readDocument(PAGES[1]!).prose.join('\n')
  const drawn = readDocument(PAGES[1]!).blocks.find(({ language }) => language === 'mermaid')!.text
  const rooms = [...drawn.matchAll(/\["([^"]+)"\]/g)].map(([, room]) => room!).filter((room) => room !== 'index.ts')
  assert.ok(rooms.length > 10)
  assert.deepEqual(rooms.filter((room) => !table.includes(`| \`${room}\` |`)), [])
})
