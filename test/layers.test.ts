import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { readImports } from './helpers/imports.ts'
import { checkTree } from './helpers/layers.ts'

const LIB = join(import.meta.dirname, '../lib')
const FILES = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll(sep, '/'))
  .sort()

test('lib/ keeps the rules of layers, names, headers and size', () => {
  const breaches = checkTree(new Map(FILES.map((file) => [file, readFileSync(join(LIB, file), 'utf8')])))
  assert.ok(breaches.length === 0, `\n${breaches.join('\n')}`)
})

// Also shows every file to the coverage: one that no file imports counts as uncovered, one of types only as covered.
test('importing any file of lib/ starts nothing: no timer, no socket, no process listener', async () => {
  const before = activity()
  for (const file of FILES) await import(pathToFileURL(join(LIB, file)).href)
  assert.deepEqual(activity(), before)
})

/** What an import could start; pipes and file reads are left out, for the loader of TypeScript has its own. */
function activity (): string[] {
  const resources = process.getActiveResourcesInfo().filter((resource) => /^(Timeout|TCP|UDP)/.test(resource))
  const events = ['SIGTERM', 'SIGINT', 'SIGHUP', 'uncaughtException', 'unhandledRejection', 'beforeExit']
  return [...resources, ...events.map((event) => `${event}: ${process.listenerCount(event)}`)].sort()
}

const HEADER = '/** What this file owns. */\n'

/** Checks a tree of one file, with a header. */
function check (file: string, source: string): string[] {
  return checkTree(new Map([[file, HEADER + source]]))
}

const BROKEN: Array<[rule: string, file: string, source: string, breach: RegExp]> = [
  ['the base importing a room above', 'base/a.ts', "import { b } from '../track/b.ts'", /^lib\/base\/a\.ts imports "\.\.\/track\/b\.ts", up from base to track$/],
  ['a connection importing a type of the registry', 'connection/a.ts', "import type { B } from '../track/b.ts'", /up from connection to track/],
  ['a policy re-exporting the options', 'limit/a.ts', "export { b } from '../options/options.ts'", /up from limit to options/],
  ['ws importing the plugin', 'ws/a.ts', "import plugin from '../plugin.ts'", /up from ws to plugin\.ts/],
  ['the plugin importing the index', 'plugin.ts', "import './index.ts'", /up from plugin\.ts to index\.ts/],
  ['an import() that goes up', 'base/a.ts', "const b = await import('../plugin.ts')", /up from base/],
  ['an import over several lines that goes up', 'base/a.ts', "import {\n  b,\n  type C as D\n} from '../track/b.ts'", /up from base/],
  ['a room importing another of its level', 'watch/a.ts', "import { b } from '../limit/b.ts'", /the room watch may not know of limit/],
  ['a room importing a type of another of its level', 'drain/a.ts', "import type { B } from '../ws/b.ts'", /the room drain may not know of ws/],
  ['a value of fastify outside the plugin', 'ws/a.ts', "import Fastify from 'fastify'", /values of "fastify", which only plugin\.ts, index\.ts may/],
  ['a value of @fastify/websocket outside the plugin', 'track/a.ts', "import websocket from '@fastify/websocket'", /values of "@fastify\/websocket"/],
  ['a value of fastify-plugin outside the plugin', 'show/a.ts', "import fp from 'fastify-plugin'", /values of "fastify-plugin"/],
  ['the main entry importing another one', 'plugin.ts', "import { b } from './show/tracing/b.ts'", /up from plugin\.ts to show\/tracing/],
  ['an entry importing another one', 'show/tracing/a.ts', "import { b } from '../metrics/b.ts'", /the room show\/tracing may not know of show\/metrics/],
  ['a value of @opentelemetry/api outside its entries', 'show/a.ts', "import { trace } from '@opentelemetry/api'", /which only show\/metrics\/, show\/tracing\/ may/],
  ['a value of ws outside ws/', 'plugin.ts', "import { WebSocket } from 'ws'", /values of "ws", which only ws\/, testing\/ may/],
  ['a file of ws outside ws/', 'limit/a.ts', "import Sender from 'ws/lib/sender.js'", /values of "ws\/lib\/sender\.js"/],
  ['an empty import left by inline types', 'plugin.ts', "import { type WebSocket } from 'ws'", /values of "ws"/],
  ['close-with-grace outside signals.ts', 'drain/a.ts', "import closeWithGrace from 'close-with-grace'", /which only drain\/signals\.ts may/],
  ['a package without an owner', 'base/a.ts', "import pino from 'pino'", /values of "pino", which no place may/],
  ['sockets outside of their rooms', 'connection/a.ts', "import { connect } from 'node:net'", /only http\/, ws\/, testing\/ handle sockets/],
  ['types of sockets by value', 'watch/a.ts', "import { type Socket } from 'node:net'", /only http\/, ws\/, testing\/ handle sockets/],
  ['timers outside of the clock', 'base/a.ts', "import { setTimeout } from 'node:timers/promises'", /only base\/clock\.ts timers/],
  ['a builtin without node:', 'ws/a.ts', "import { join } from 'path'", /imports "path" without node:/],
  ['a relative import without .ts', 'base/a.ts', "import { b } from './b'", /imports "\.\/b" without \.ts/],
  ['a relative import of .js', 'base/a.ts', "import { b } from './b.js'", /without \.ts/],
  ['a file over 300 lines', 'base/a.ts', '\n'.repeat(300) + 'export {}\n', /has 302 lines, at most 300/],
  ['a file called utils', 'base/utils.ts', '', /is called "utils"/],
  ['a file called helpers', 'ws/helpers.ts', '', /is called "helpers"/],
  ['a file called common', 'drain/common.ts', '', /is called "common"/],
  ['a file called types', 'track/types.ts', '', /is called "types"/],
  ['a file in camel case', 'base/closeCodes.ts', '', /is not named in kebab-case/],
  ['a default export', 'base/a.ts', 'export default 1', /has a default export/],
  ['a folder that is no layer', 'misc/a.ts', '', /is in no known layer/]
]

for (const [rule, file, source, breach] of BROKEN) {
  test(`the check finds ${rule}`, () => {
    const breaches = check(file, source)
    assert.equal(breaches.length, 1, breaches.join('\n'))
    assert.match(breaches[0] ?? '', breach)
  })
}

test('the check finds a file without a header comment', () => {
  assert.deepEqual(checkTree(new Map([['base/a.ts', 'export {}\n']])), ['lib/base/a.ts does not begin with a comment that says what it owns'])
})

test('the check finds files that import each other, and the way around', () => {
  const tree = {
    'base/a.ts': "import { b } from './b.ts'",
    'base/b.ts': "import type { C } from './c.ts'",
    'base/c.ts': "import type { A } from './a.ts'",
    'base/d.ts': "import { a } from './a.ts'"
  }
  const breaches = checkTree(new Map(Object.entries(tree).map(([file, source]) => [file, HEADER + source])))
  assert.deepEqual(breaches, ['lib/base/a.ts is in a cycle of imports: base/a.ts → base/b.ts → base/c.ts → base/a.ts'])
})

test('the check lets pass what the rules allow', () => {
  const tree = {
    'index.ts': "import plugin from './plugin.ts'\nexport { plugin as default }\nexport type { WebSocket } from 'ws'",
    'plugin.ts': "import fp from 'fastify-plugin'\nimport websocket from '@fastify/websocket'\nimport { a } from './ws/a.ts'\nexport default fp(a, websocket)",
    'ws/a.ts': "import { WebSocket } from 'ws'\nimport { connect } from 'node:net'\nimport { c } from '../connection/a.ts'",
    'drain/signals.ts': "import closeWithGrace from 'close-with-grace'",
    'drain/a.ts': "import { b } from './b.ts'\nimport type { A } from '../connection/a.ts'",
    'base/errors.ts': "import createError from '@fastify/error'",
    'connection/a.ts': "import type { Socket } from 'node:net'\nimport type { WebSocket } from 'ws'\ntype W = import('ws').WebSocket\ntype N = typeof import('node:net')\n// import { a } from '../plugin.ts'\nconst text = '/* import \"x\" '"
  }
  assert.deepEqual(Object.entries(tree).flatMap(([file, source]) => check(file, source)), [])
})

test('imports are read with what is type only', () => {
  assert.deepEqual(readImports([
    "import a, { b } from 'one'",
    "import type { C } from 'two'",
    "import type from 'three'",
    "export * from 'four'",
    "export type * from 'five'",
    "import 'six'",
    'export { a as b }',
    "import * as n from 'eight'",
    "import d, * as e from 'nine'",
    "import {\n  f,\n  type G\n} from 'ten'",
    "export const from = 1, h = 'no'",
    'const x = import("seven")',
    '/* import \'no\' */ const from = \'import "no"\''
  ].join('\n')), [
    { specifier: 'one', typeOnly: false },
    { specifier: 'two', typeOnly: true },
    { specifier: 'three', typeOnly: false },
    { specifier: 'four', typeOnly: false },
    { specifier: 'five', typeOnly: true },
    { specifier: 'six', typeOnly: false },
    { specifier: 'eight', typeOnly: false },
    { specifier: 'nine', typeOnly: false },
    { specifier: 'ten', typeOnly: false },
    { specifier: 'seven', typeOnly: false }
  ])
})
