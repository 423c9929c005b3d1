/**
 * Ten thousand connections, opened and ended in every way: nothing of them is left, and the heap is where it was.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { forkFixture } from '../helpers/child.ts'
import type { Census } from './fixtures/leak.ts'

interface Result {
  ways: number
  before: Census
  middle: Census
  after: Census
  opened: number
  closed: Record<string, number>
  timersAfterClose: number
  duration: number
}

/** The first ones warm up: what V8 compiles and what caches hold stays, and is no leak. */
const WARM_UP = 4_000
const COUNT = 6_000
/** After so many the process tells of it: it takes long on a machine that is busy with something else, and must not be taken for one that hangs. */
const PART = 1_000
/** Bytes each of the others may leave behind: less than the smallest record weighs, more than the noise of a collection. */
const BYTES = 100

test('after 10,000 connections, ended in every way, nothing is left and the heap is back at its base', async (t) => {
  // Without coverage: what it counts with grows with what is run, and is no leak either.
  const child = forkFixture(t, 'leak', [String(WARM_UP), String(COUNT), String(PART)], { execArgv: ['--expose-gc'], env: { NODE_V8_COVERAGE: undefined } })
  for (let ended = PART; ended <= WARM_UP + COUNT; ended += PART) {
    await t.test(`${ended} have ended`, async () => { assert.deepEqual(await child.message(), { ended }) })
  }
  const result = await child.message<Result>()
  const { before, middle, after, ways, opened, closed, timersAfterClose, duration } = result
  t.diagnostic(`${ways} ways, ${opened} opened, ${JSON.stringify(closed)}; ${(duration / 1000).toFixed(1)} s; heap ${before.heap} → ${middle.heap} → ${after.heap} B`)
  // Some ways are handshakes that never become a connection.
  assert.ok(opened > COUNT * 0.9, `${opened} of ${COUNT} opened`)
  for (const cause of ['client', 'network', 'protocol', 'application', 'disconnected', 'error', 'refused']) {
    assert.ok((closed[cause] ?? 0) > 0, `none ended with cause ${cause}: ${JSON.stringify(closed)}`)
  }
  for (const [what, value] of Object.entries({
    connections: after.connections, leftovers: after.leftovers, working: after.working, tcp: after.tcp, clients: after.clients
  })) assert.equal(value, 0, `${what} left: ${value}`)
  assert.deepEqual(after.listeners, before.listeners)
  // The gate that keeps noisy peers out of the log has a timer a kind of line, for 10 s; no connection has any.
  assert.ok(after.timers <= 4, `${after.timers} timers`)
  assert.equal(timersAfterClose, 0)
  const { finished, failed, abandoned } = after.cleanups
  assert.equal(finished + failed + abandoned, after.deferred, 'every cleanup ran exactly once')
  // What leaks grows in both halves; what V8 has still to compile, or to optimize, in one.
  const growth = Math.min(middle.heap - before.heap, after.heap - middle.heap)
  assert.ok(growth < COUNT / 2 * BYTES, `the heap has grown by ${growth} B over ${COUNT / 2} connections: ${before.heap} → ${middle.heap} → ${after.heap}`)
  assert.deepEqual(await child.exited, { code: 0, signal: null })
})
