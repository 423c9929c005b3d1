import assert from 'node:assert/strict'
import test from 'node:test'
import { makePlan } from '../../lib/drain/plan.ts'
import type { PlanInput } from '../../lib/drain/plan.ts'
import type { DrainPlan } from '../../lib/track/drain-report.ts'

/** A plan from the defaults and what is given. */
function plan (given: Partial<PlanInput> = {}): DrainPlan {
  return makePlan({
    timeout: undefined,
    defaultTimeout: 8_000,
    terminationGracePeriod: undefined,
    preStop: 0,
    reserve: 5_000,
    settleDelay: 0,
    spread: 'auto',
    closeTimeout: undefined,
    ...given
  })
}

/** The lengths of the phases, in order. */
function lengths ({ settleDelay, grace, spread, closeTimeout, cleanupReserve }: DrainPlan): number[] {
  return [settleDelay, grace, spread, closeTimeout, cleanupReserve]
}

const WORKED: Array<[what: string, given: Partial<PlanInput>, timeout: number, lengths: number[]]> = [
  ['the defaults', {}, 8_000, [0, 5_400, 200, 1_600, 800]],
  ['30 s of grace period with 5 s of preStop', { terminationGracePeriod: 30_000, preStop: 5_000 }, 20_000, [0, 16_800, 200, 2_000, 1_000]],
  ['60 s of grace period, with 3 s to settle', { terminationGracePeriod: 60_000, preStop: 10_000, settleDelay: 3_000 }, 45_000, [3_000, 38_800, 200, 2_000, 1_000]],
  ['a timeout of its own', { timeout: 3_000 }, 3_000, [0, 1_900, 200, 600, 300]],
  ['time to settle', { settleDelay: 1_500 }, 8_000, [1_500, 3_900, 200, 1_600, 800]],
  ['a closeTimeout of its own', { closeTimeout: 600 }, 8_000, [0, 6_400, 200, 600, 800]],
  ['a spread that is off', { spread: false }, 8_000, [0, 5_400, 200, 1_600, 800]],
  ['a spread of its own', { spread: 2_000 }, 8_000, [0, 3_600, 2_000, 1_600, 800]],
  ['a spread of 0', { spread: 0 }, 8_000, [0, 5_600, 0, 1_600, 800]],
  ['a spread that takes all there is', { spread: 5_600 }, 8_000, [0, 0, 5_600, 1_600, 800]],
  ['a short time, of which close frames get half, with the odd millisecond', { timeout: 301 }, 301, [0, 105, 106, 60, 30]],
  ['no reserve', { terminationGracePeriod: 10_000, reserve: 0 }, 10_000, [0, 6_800, 200, 2_000, 1_000]],
  ['the shortest timeout', { timeout: 1 }, 1, [0, 0, 1, 0, 0]]
]

for (const [what, given, timeout, expected] of WORKED) {
  test(`a plan from ${what} adds up`, () => {
    const made = plan(given)
    assert.equal(made.timeout, timeout)
    assert.deepEqual(lengths(made), expected)
    assert.equal(lengths(made).reduce((sum, length) => sum + length), timeout)
  })
}

test('a plan holds what it was made from', () => {
  const { terminationGracePeriod, preStop, reserve } = plan({ terminationGracePeriod: 30_000, preStop: 5_000, reserve: 4_000 })
  assert.deepEqual({ terminationGracePeriod, preStop, reserve }, { terminationGracePeriod: 30_000, preStop: 5_000, reserve: 4_000 })
  assert.equal(plan().terminationGracePeriod, undefined)
})

test('the phases of a plan follow one another from 0 to the timeout', () => {
  const { phases, timeout } = plan({ settleDelay: 1_000 })
  assert.deepEqual(phases.map(({ phase }) => phase), ['settle', 'grace', 'spread', 'answer', 'cleanup'])
  assert.equal(phases[0]!.from, 0)
  for (const [i, { from, to }] of phases.entries()) {
    assert.ok(from < to)
    if (i > 0) assert.equal(from, phases[i - 1]!.to)
  }
  assert.equal(phases.at(-1)!.to, timeout)
})

test('a phase without time is not in the plan', () => {
  assert.deepEqual(plan().phases.map(({ phase }) => phase), ['grace', 'spread', 'answer', 'cleanup'])
  assert.deepEqual(plan({ spread: 0 }).phases.map(({ phase }) => phase), ['grace', 'answer', 'cleanup'])
  assert.deepEqual(plan({ timeout: 1 }).phases.map(({ phase }) => phase), ['spread'])
})

test('a plan says whether connections are closed in turns, evenly or at once', () => {
  const what = (spread: PlanInput['spread']) => plan({ spread }).phases.slice(0, 2).map(({ what }) => what).join()
  assert.match(what('auto'), /each in its turn.*as the window allows/)
  assert.match(what(1_000), /idle ones are closed, work.*evenly/)
  assert.match(what(false), /idle ones are closed, work.*as the window allows/)
})

const ARITHMETIC: Array<[what: string, given: Partial<PlanInput>, expected: string]> = [
  ['the default timeout', {},
    'timeout 8000 (default); of it settleDelay 0 + grace 5400 + spread 200 + closeTimeout 1600 + cleanups 800; preStop 0 + timeout 8000 + reserve 5000 = 13000 ms in all'],
  ['a given timeout', { timeout: 5_000 },
    'timeout 5000; of it settleDelay 0 + grace 3300 + spread 200 + closeTimeout 1000 + cleanups 500; preStop 0 + timeout 5000 + reserve 5000 = 10000 ms in all'],
  ['a grace period', { terminationGracePeriod: 30_000, preStop: 5_000 },
    'timeout 20000 = terminationGracePeriod 30000 − preStop 5000 − reserve 5000; of it settleDelay 0 + grace 16800 + spread 200 + closeTimeout 2000 + cleanups 1000; preStop 5000 + timeout 20000 + reserve 5000 = 30000 ms in all'],
  ['a grace period with a timeout below it', { terminationGracePeriod: 30_000, timeout: 10_000 },
    'timeout 10000 = terminationGracePeriod 30000 − preStop 0 − reserve 5000 − 15000 unused; of it settleDelay 0 + grace 6800 + spread 200 + closeTimeout 2000 + cleanups 1000; preStop 0 + timeout 10000 + reserve 5000 = 15000 ms in all']
]

for (const [what, given, expected] of ARITHMETIC) {
  test(`the arithmetic of ${what} is written out`, () => {
    assert.equal(plan(given).arithmetic, expected)
  })
}

test('a plan as text has its arithmetic and a line a phase', () => {
  assert.equal(String(plan({ settleDelay: 1_250 })), [
    'drain: timeout 8000 (default); of it settleDelay 1250 + grace 4150 + spread 200 + closeTimeout 1600 + cleanups 800; preStop 0 + timeout 8000 + reserve 5000 = 13000 ms in all',
    '  settle       0 s –  1.25 s  the server keeps serving, so that load balancers notice (signals and drain() only)',
    '  grace     1.25 s –  5.40 s  no new connections; idle ones are closed, each in its turn, work in flight may finish',
    '  spread    5.40 s –  5.60 s  close frames for the rest, as fast as the window allows; the last one is sent by its end',
    '  answer    5.60 s –  7.20 s  the last peers answer; those that do not are cut off',
    '  cleanup   7.20 s –     8 s  the last cleanups; those that do not settle are given up and reported'
  ].join('\n'))
})

const CONFLICTS: Array<[what: string, given: Partial<PlanInput>, message: string]> = [
  ['more than the grace period', { terminationGracePeriod: 30_000, timeout: 25_000, preStop: 5_000 },
    'drain: preStop 5000 + timeout 25000 + reserve 5000 = 35000 ms is more than terminationGracePeriod 30000 ms'],
  ['a grace period that preStop and reserve use up', { terminationGracePeriod: 10_000, preStop: 5_000 },
    'drain: terminationGracePeriod 10000 − preStop 5000 − reserve 5000 = 0 ms, which leaves no time to drain'],
  ['a grace period below preStop and reserve', { terminationGracePeriod: 10_000, preStop: 15_000 },
    'drain: terminationGracePeriod 10000 − preStop 15000 − reserve 5000 = -10000 ms, which leaves no time to drain'],
  ['phases without time for work', { timeout: 2_000, settleDelay: 1_400 },
    'drain: timeout 2000 − settleDelay 1400 − closeTimeout 400 − 200 for cleanups = 0 ms, which leaves nothing for work in flight and close frames: raise drain.timeout (or terminationGracePeriod), or lower the others'],
  ['a closeTimeout above the timeout', { timeout: 2_000, closeTimeout: 3_000 },
    'drain: timeout 2000 − settleDelay 0 − closeTimeout 3000 − 200 for cleanups = -1200 ms, which leaves nothing for work in flight and close frames: raise drain.timeout (or terminationGracePeriod), or lower the others'],
  ['a spread that does not fit', { spread: 5_601 },
    'drain: timeout 8000 − settleDelay 0 − closeTimeout 1600 − 800 for cleanups = 5600 ms, which is less than spread 5601 ms: raise drain.timeout (or terminationGracePeriod), or lower the others']
]

for (const [what, given, message] of CONFLICTS) {
  test(`${what}: refused with the sum`, () => {
    assert.throws(() => plan(given), { code: 'SOCKETS_ERR_OPTION_CONFLICT', message })
  })
}

test('what fills the grace period exactly is no conflict', () => {
  assert.equal(plan({ terminationGracePeriod: 30_000, timeout: 20_000, preStop: 5_000 }).timeout, 20_000)
})
