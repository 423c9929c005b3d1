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

// Also shows every file to the coverage: one that nobody imports counts as uncovered, one of types only as covered.
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
  ['core importing a policy', 'core/a.ts', "import { b } from '../policies/b.ts'", /^lib\/core\/a\.ts imports "\.\.\/policies\/b\.ts", up from core to policies$/],
  ['core importing a type of a policy', 'core/a.ts', "import type { B } from '../policies/b.ts'", /up from core/],
  ['a policy re-exporting the options', 'policies/a.ts', "export { b } from '../options.ts'", /up from policies to options\.ts/],
  ['the tracker importing the transport', 'tracker.ts', "import { b } from './transport/b.ts'", /up from tracker\.ts to transport/],
  ['the transport importing the plugin', 'transport/a.ts', "import plugin from '../plugin.ts'", /up from transport to plugin\.ts/],
  ['the plugin importing the index', 'plugin.ts', "import './index.ts'", /up from plugin\.ts to index\.ts/],
  ['an import() that goes up', 'core/a.ts', "const b = await import('../tracker.ts')", /up from core/],
  ['an import over several lines that goes up', 'core/a.ts', "import {\n  b,\n  type C as D\n} from '../tracker.ts'", /up from core/],
  ['a policy importing another', 'policies/a.ts', "import { b } from './b.ts'", /the policy "a" may not know of "b"/],
  ['a policy importing one that is a folder', 'policies/a.ts', "import { b } from './drain/b.ts'", /the policy "a" may not know of "drain"/],
  ['a policy that is a folder importing another', 'policies/drain/a.ts', "import { b } from '../b.ts'", /the policy "drain" may not know of "b"/],
  ['a value of fastify outside the plugin', 'transport/a.ts', "import Fastify from 'fastify'", /values of "fastify", which only plugin\.ts, index\.ts may/],
  ['a value of @fastify/websocket outside the plugin', 'tracker.ts', "import websocket from '@fastify/websocket'", /values of "@fastify\/websocket"/],
  ['a value of fastify-plugin outside the plugin', 'observe/a.ts', "import fp from 'fastify-plugin'", /values of "fastify-plugin"/],
  ['a value of ws outside transport/', 'plugin.ts', "import { WebSocket } from 'ws'", /values of "ws", which only transport\/, testing\/ may/],
  ['a file of ws outside transport/', 'policies/a.ts', "import Sender from 'ws/lib/sender.js'", /values of "ws\/lib\/sender\.js"/],
  ['an empty import left by inline types', 'plugin.ts', "import { type WebSocket } from 'ws'", /values of "ws"/],
  ['close-with-grace outside signals.ts', 'process/a.ts', "import closeWithGrace from 'close-with-grace'", /which only process\/signals\.ts may/],
  ['a package in core', 'core/a.ts', "import pino from 'pino'", /core\/ takes none but @fastify\/error/],
  ['sockets in core', 'core/a.ts', "import { connect } from 'node:net'", /core\/ has no sockets and no timers/],
  ['types of sockets in core by value', 'core/a.ts', "import { type Socket } from 'node:net'", /core\/ has no sockets/],
  ['timers in core', 'core/a.ts', "import { setTimeout } from 'node:timers/promises'", /core\/ has no sockets and no timers/],
  ['a builtin without node:', 'page/a.ts', "import { join } from 'path'", /imports "path" without node:/],
  ['a relative import without .ts', 'core/a.ts', "import { b } from './b'", /imports "\.\/b" without \.ts/],
  ['a relative import of .js', 'core/a.ts', "import { b } from './b.js'", /without \.ts/],
  ['a file over 300 lines', 'core/a.ts', '\n'.repeat(300) + 'export {}\n', /has 302 lines, at most 300/],
  ['a file called utils', 'core/utils.ts', '', /is called "utils"/],
  ['a file called helpers', 'transport/helpers.ts', '', /is called "helpers"/],
  ['a file called common', 'policies/drain/common.ts', '', /is called "common"/],
  ['a file called types', 'core/types.ts', '', /is called "types"/],
  ['a file in camel case', 'core/closeCodes.ts', '', /is not named in kebab-case/],
  ['a default export', 'core/a.ts', 'export default 1', /has a default export/],
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
  assert.deepEqual(checkTree(new Map([['core/a.ts', 'export {}\n']])), ['lib/core/a.ts does not begin with a comment that says what it owns'])
})

test('the check lets pass what the rules allow', () => {
  const tree = {
    'index.ts': "import plugin from './plugin.ts'\nexport { plugin as default }\nexport type { WebSocket } from 'ws'",
    'plugin.ts': "import fp from 'fastify-plugin'\nimport websocket from '@fastify/websocket'\nimport { a } from './transport/a.ts'\nexport default fp(a, websocket)",
    'transport/a.ts': "import { WebSocket } from 'ws'\nimport { connect } from 'node:net'\nimport { c } from '../core/a.ts'",
    'process/signals.ts': "import closeWithGrace from 'close-with-grace'",
    'policies/drain/a.ts': "import { b } from './b.ts'\nimport type { A } from '../../core/a.ts'",
    'core/a.ts': "import createError from '@fastify/error'\nimport type { Socket } from 'node:net'\nimport type { WebSocket } from 'ws'\ntype W = import('ws').WebSocket\ntype N = typeof import('node:net')\n// import { a } from '../plugin.ts'\nconst text = '/* import \"x\" '"
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
