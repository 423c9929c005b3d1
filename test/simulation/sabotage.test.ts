/**
 * Proves that the simulation can fail: each invariant finds what was broken for it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { INVARIANTS } from './invariants/all.ts'
import { command, describe } from './report.ts'
import { NOTHING_THROWS, run } from './run.ts'
import type { RunResult } from './run.ts'
import { SABOTAGES } from './sabotage.ts'

/** Seeds within which a sabotage is found; each run has but a few connections. */
const WITHIN = 300

test('each invariant has a sabotage', () => {
  const names = [...INVARIANTS.map(({ name }) => name), NOTHING_THROWS]
  assert.deepEqual([...new Set(SABOTAGES.map(({ invariant }) => invariant))].sort(), names.sort())
})

for (const sabotage of SABOTAGES) {
  test(`the simulation finds it when ${sabotage.what}: "${sabotage.invariant}"`, async (t) => {
    const invariants = INVARIANTS.filter(({ name }) => name === sabotage.invariant)
    let found: RunResult | null = null
    for (let seed = 1; seed <= WITHIN && found === null; seed++) {
      const result = await run(seed, { sabotage, invariants })
      if (result.breach?.invariant === sabotage.invariant) found = result
    }
    assert.ok(found !== null, `not found within ${WITHIN} seeds`)
    t.diagnostic(`found with seed ${found.seed}: ${found.breach!.message.split('\n')[0]}`)
    assert.ok(describe(found).includes(command(found.seed)), 'says how to see it again')
    assert.ok(found.trace.length > 0 && found.trace.length <= 40)
    // What was broken for it is whole again.
    assert.equal((await run(found.seed)).breach, null)
  })
}
