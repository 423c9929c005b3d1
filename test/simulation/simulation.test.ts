/**
 * Runs the simulation with fresh seeds.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'node:test'
import type { CloseCause } from '../../lib/base/close-codes.ts'
import { TYPESCRIPT } from '../helpers/child.ts'
import { command, describe, freshSeed } from './report.ts'
import { run } from './run.ts'

/** CI does four times as many, without coverage, which takes half of the time. */
const RUNS = 500

/** In parts: a test that is long is taken for one that hangs, on a machine that is busy with something else. */
const PART = 100

/** All causes. */
const CAUSES: CloseCause[] = [
  'application', 'client', 'disconnected', 'drain', 'error', 'expired', 'heartbeat', 'idle', 'leave', 'lifetime', 'network', 'protocol',
  'rate', 'rebalance', 'refused', 'replaced', 'slow'
]

test('whatever happens, the invariants hold', async (t) => {
  const seed = freshSeed()
  t.diagnostic(`${RUNS} runs from seed ${seed}; again: ${command(seed, RUNS)}`)
  const causes = new Set<string>()
  for (let from = seed; from < seed + RUNS; from += PART) {
    await t.test(`in ${PART} runs from seed ${from}`, async () => {
      for (let i = from; i < from + PART; i++) {
        const result = await run(i)
        if (result.breach !== null) assert.fail(describe(result))
        for (const cause of Object.keys(result.causes)) causes.add(cause)
      }
    })
  }
  await t.test('and connections end in every way there is', () => { assert.deepEqual([...causes].sort(), CAUSES) })
})

test('a seed does the same again, whatever ran before it', async () => {
  const first = await run(7)
  await run(8)
  assert.deepEqual(await run(7), first)
})

test('npm run simulate tells its seed and count, and a failure from its seed', () => {
  const simulate = (...flags: string[]) => spawnSync(process.execPath, [...TYPESCRIPT, join(import.meta.dirname, 'main.ts'), ...flags], { encoding: 'utf8' })
  const passed = simulate('--seed', '20', '--runs', '3')
  assert.equal(passed.status, 0, passed.stderr)
  assert.match(passed.stdout, /seed 20, 3 runs\n.*3 runs passed/)
  assert.match(simulate('--runs', '1').stdout, /seed \d+, 1 runs\n/)
  const failed = simulate('--seed', '1', '--runs', '100', '--sabotage', 'a message is queued twice')
  assert.equal(failed.status, 1)
  assert.match(failed.stderr, /\nSeed (\d+) broke "messages come once and in order".*\n {2}again: npm run simulate -- --seed \1 --runs 1\n/)
  assert.equal(simulate('--runs', 'many').status, 2)
  assert.equal(simulate('--sabotage', 'nonsense').status, 2)
})
