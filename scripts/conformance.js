// Runs @fastify/websocket's own tests, which come with its package, against this plugin put in its place.
//
//   npm run test:conformance
//   node scripts/conformance.js @fastify/websocket    the same tests on the original: checks this script
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const TIME_LIMIT = 180_000
// One of the tests listens there.
const FIXED_PORT = 3000

const subject = process.argv[2] ?? join(ROOT, 'dist/index.js')

const folder = mkdtempSync(join(tmpdir(), 'conformance-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

await assertPortIsFree(FIXED_PORT)

cpSync(join(ROOT, 'node_modules/@fastify/websocket/test'), join(folder, 'test'), { recursive: true })
symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
// The tests require('..').
writeFileSync(join(folder, 'index.js'), `'use strict'\nmodule.exports = require(${JSON.stringify(subject)})\n`)

const files = readdirSync(join(folder, 'test'), { recursive: true }).filter((file) => file.endsWith('.test.js')).sort()
// Counted in the sources, so that a version that brings more of them, or runs fewer, is noticed.
const expected = files
  .flatMap((file) => readFileSync(join(folder, 'test', file), 'utf8').match(/^[ \t]*(?:await )?test\(/gm) ?? [])
  .length

const results = join(folder, 'results.tap')
const { status, signal } = spawnSync(process.execPath, [
  '--disable-warning=ExperimentalWarning', // require() of an ES module
  '--test',
  '--test-reporter=spec', '--test-reporter-destination=stdout',
  '--test-reporter=tap', `--test-reporter-destination=${results}`,
  ...files.map((file) => join('test', file))
], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'], timeout: TIME_LIMIT })

const count = (word) => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(readFileSync(results, 'utf8'))?.[1] ?? 0)
const complete = expected > 0 && count('tests') === expected && count('pass') === expected
console.log(`\nTests of @fastify/websocket: ${expected} in its sources, ${count('tests')} ran, ${count('pass')} passed${signal ? `; stopped by ${signal} after ${TIME_LIMIT} ms` : ''}`)
process.exitCode = complete && status === 0 ? 0 : 1

async function assertPortIsFree (port) {
  const server = createServer().listen(port, 'localhost')
  try {
    await once(server, 'listening')
  } catch (error) {
    console.error(`Port ${port} on localhost is taken (${error.code}), and one of the tests of @fastify/websocket needs it. Stop what listens there.`)
    process.exit(1)
  }
  server.close()
  await once(server, 'close')
}
