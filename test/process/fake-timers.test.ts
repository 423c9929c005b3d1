/**
 * Fake timers that were installed before the plugin was loaded.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { forkFixture } from '../helpers/child.ts'

for (const [how, what] of [['node', 'node:test'], ['all', 'any library']] as const) {
  test(`fake timers of ${what}, installed before the plugin is loaded, do not keep app.close() from resolving`, async (t) => {
    const child = forkFixture(t, 'fake-timers', [how])
    const codes = await child.message<number[]>()
    assert.equal(codes.length, 200)
    assert.deepEqual([...new Set(codes)], [1012])
    assert.equal((await child.exited).code, 0)
  })
}
