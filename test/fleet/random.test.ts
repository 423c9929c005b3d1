/**
 * Random schedules of a fleet, with fresh seeds: schedules/run.ts says what happens in them, and what must hold.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'node:test'
import { TYPESCRIPT } from '../helpers/child.ts'
import { freshSeed } from '../simulation/report.ts'
import { command, describe } from './schedules/report.ts'
import { run } from './schedules/run.ts'
import type { World } from './schedules/world.ts'

const RUNS = 200

/** In parts: a test that is long is taken for one that hangs, on a machine that is busy with something else. */
const PART = 50

test('whatever happens, the fleet knows itself again, and leaves nothing behind', async (t) => {
  const seed = freshSeed()
  t.diagnostic(`${RUNS} runs from seed ${seed}; again: ${command(seed, RUNS)}`)
  for (let from = seed; from < seed + RUNS; from += PART) {
    await t.test(`in ${PART} runs from seed ${from}`, async () => {
      for (let i = from; i < from + PART; i++) {
        const result = await run(i)
        if (result.breach !== null) assert.fail(describe(result))
      }
    })
  }
})

test('a seed does the same again, whatever ran before it', async () => {
  const first = await run(7)
  await run(8)
  assert.deepEqual(await run(7), first)
})

const SABOTAGES: Array<[what: string, sabotage: (world: World) => void]> = [
  ['leases do not end', ({ engine: { memory } }) => {
    const { beat } = memory
    memory.beat = (node, said) => beat.call(memory, node, { ...said, lease: 1e9 })
  }],
  ['the owners of a lost node are forgotten', ({ engine: { memory } }) => {
    const { beat } = memory
    memory.beat = (node, said) => ({ ...beat.call(memory, node, said), offline: [] })
  }],
  ['an owner goes offline twice', ({ engine: { memory } }) => {
    const { beat } = memory
    memory.beat = (node, said) => {
      const pulse = beat.call(memory, node, said)
      return { ...pulse, offline: [...pulse.offline, ...pulse.offline] }
    }
  }],
  ['some counts are not written', ({ engine: { memory } }) => {
    const { label } = memory
    memory.label = (node, counts) => label.call(memory, node, counts.filter(({ label }) => label !== 'bob'))
  }],
  ['an answer that was lost is not told again', ({ engine }) => {
    engine.tell = async (_call, _heard, carryOut) => ({ number: 0, told: await carryOut() })
  }],
  ['orders are lost', ({ engine: { memory } }) => { memory.order = () => {} }],
  ['messages are lost', ({ engine: { memory } }) => { memory.send = () => {} }],
  ['a node that leaves keeps a timer', (world) => {
    const { leave } = world
    world.leave = (node) => {
      node.clock.setTimeout(() => {}, 1e9)
      leave.call(world, node)
    }
  }],
  ['more places are given than there are', ({ engine: { memory } }) => {
    const { take } = memory
    memory.take = (node, asked) => take.call(memory, node, asked.map((each) => ({ ...each, max: each.max + 1 })))
  }],
  ['places are not given back', ({ engine: { memory } }) => {
    const { take } = memory
    memory.take = (node, asked) => take.call(memory, node, asked.map((each) => ({ ...each, have: each.have + 1 })))
  }],
  ['another connection than the oldest makes room', ({ engine: { memory } }) => {
    const { take } = memory
    memory.take = (node, asked) => take.call(memory, node, asked.map((each) => ({ ...each, oldest: each.oldest && -each.oldest })))
  }],
  ['states of handovers stay', ({ engine: { memory } }) => { memory.handovers.put('x', 'y', 1e9) }]
]

for (const [what, sabotage] of SABOTAGES) {
  test(`the schedules find that ${what}`, async () => {
    for (let seed = 1; seed <= 300; seed++) if ((await run(seed, sabotage)).breach !== null) return
    assert.fail('it was not found')
  })
}

test('the command tells its seed and count', () => {
  const main = (...flags: string[]) => spawnSync(process.execPath, [...TYPESCRIPT, join(import.meta.dirname, 'schedules/main.ts'), ...flags], { encoding: 'utf8' })
  const passed = main('--seed', '20', '--runs', '3')
  assert.equal(passed.status, 0, passed.stderr)
  assert.match(passed.stdout, /seed 20, 3 runs\n.*3 runs passed/)
  assert.match(main('--runs', '1').stdout, /seed \d+, 1 runs\n/)
  assert.equal(main('--runs', 'many').status, 2)
})
