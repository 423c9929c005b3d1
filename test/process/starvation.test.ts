/**
 * Drains of processes that get little CPU: what must have happened at the end, never how long it took.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { DrainReport } from '../../lib/index.ts'
import { forkFixture } from '../helpers/child.ts'
import { assertConsistent } from '../helpers/server.ts'
import { starve } from '../helpers/starve.ts'
import type { Spec } from './fixtures/server.ts'

const skip = process.platform === 'win32' && 'no signals'
const CLIENTS = 60

test('a process that is stopped for nine tenths of the time drains, reports, closes the database and exits by itself', { skip }, async (t) => {
  const spec: Spec = { apps: [{ options: { signals: true, drain: { timeout: 90_000, reserve: 90_000 } }, cleanup: 0 }] }
  const child = forkFixture(t, 'server', [JSON.stringify(spec)])
  const { ports: [port] } = await child.message<{ ports: number[] }>()
  const clients = forkFixture(t, 'clients', [`ws://127.0.0.1:${port}/`, String(CLIENTS)])
  await clients.message()
  t.after(starve(child.process, 0.1))
  child.kill('SIGTERM')
  assert.deepEqual(await child.exited, { code: 0, signal: null })
  const noted = child.stderr.trim().split('\n')
  assert.deepEqual(noted.slice(-4), ['0 drained', '0 database closing', '0 database closed', 'exit 0'])
  assert.equal(noted.filter((line) => line === '0 cleanup ends').length, CLIENTS)
  const report = child.logs.find(({ msg }) => msg === 'sockets drained')!.report as DrainReport
  assertConsistent(report)
  assert.equal(report.connections.total, CLIENTS)
  const { ends } = await clients.message<{ ends: Array<{ code: number }> }>()
  assert.deepEqual(new Set(ends.map(({ code }) => code)), new Set([1012]))
})
