/**
 * What happens for every message allocates nothing.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { forkFixture } from '../helpers/child.ts'

/** Bytes an operation: less than the smallest object, more than what V8 does meanwhile. */
const NOTHING = 10

test('setting, moving and cancelling deadlines, and counting messages, allocate nothing', async (t) => {
  // Functions that are measured for coverage are optimized less.
  const child = forkFixture(t, 'allocation', [], { env: { NODE_V8_COVERAGE: '' } })
  const bytes = await child.message<Record<string, number>>()
  t.diagnostic(JSON.stringify(bytes))
  for (const [what, each] of Object.entries(bytes)) assert.ok(each < NOTHING, `${what} allocates ${each} bytes`)
  assert.deepEqual(await child.exited, { code: 0, signal: null })
})
