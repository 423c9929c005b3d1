/**
 * The wheel against a naive model: random schedules by fast-check, which prints the seed and the shortest schedule that
 * fails. Run again with `{ seed, path }` from its message.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { Deadline, Deadlines, TICK } from '../../lib/base/deadlines.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

/** One turn of the wheel, milliseconds. */
const TURN = 512 * TICK

/** What may be done, from outside or by a callback. */
type Change = { do: 'set', which: number, delay: number } | { do: 'cancel', which: number }
type Step = Change | { do: 'tick', ms: number } | { do: 'stall', ms: number }

const COUNT = 8
const which = fc.nat({ max: COUNT - 1 })
const delay = fc.oneof(
  fc.constantFrom(0, 1, TICK - 1, TICK, TICK + 1, TURN - TICK, TURN, TURN + 1, 3 * TURN),
  fc.nat({ max: 3_000 }),
  fc.double({ min: 0, max: 200, noNaN: true })
)
const set = fc.record({ do: fc.constant('set' as const), which, delay })
const cancel = fc.record({ do: fc.constant('cancel' as const), which })
const change: fc.Arbitrary<Change> = fc.oneof({ weight: 3, arbitrary: set }, { weight: 1, arbitrary: cancel })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: change },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('tick' as const), ms: fc.oneof(fc.constantFrom(1, TICK, 10 * TICK), fc.nat({ max: 4_000 }), fc.double({ min: 0, max: 300, noNaN: true })) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stall' as const), ms: fc.oneof(fc.nat({ max: 500 }), fc.constantFrom(TURN - 1, TURN, 2 * TURN + 77, 3_600_000)) }) }
)
/** What the callback of each deadline does, once: changes to itself and to others, and how long it takes. */
const callbacks = fc.array(fc.record({ changes: fc.array(change, { maxLength: 3 }), takes: fc.constantFrom(0, 0, 0.5, 3) }), { minLength: COUNT, maxLength: COUNT })
const start = fc.double({ min: 0, max: 1e7, noNaN: true })

interface Schedule { steps: Step[], scripts: Array<{ changes: Change[], takes: number }>, start: number }

/** Runs a schedule on both; throws where they differ. */
function run ({ steps, scripts, start }: Schedule): void {
  const clock = new FakeClock({ now: start })
  const deadlines = new Deadlines(clock)
  /** The model: when each that is set is due. */
  const due = new Map<number, { at: number, tick: number }>()
  /** How much later than a tick something may be now: the stall that has just ended, and what callbacks take. */
  let excuse = 0
  /** Latest tick fired in the run that is under way, while no stall of a turn excuses another order. */
  let lastTick = -1
  const used = new Set<number>()
  const apply = (what: Change) => {
    const deadline = all[what.which]!
    if (what.do === 'cancel') {
      deadlines.cancel(deadline)
      due.delete(what.which)
    } else {
      deadlines.set(deadline, what.delay)
      due.set(what.which, { at: clock.now() + what.delay, tick: deadline.due })
    }
    check()
  }
  const check = () => {
    assert.equal(deadlines.size, due.size, 'size')
    for (const [i, deadline] of all.entries()) assert.equal(deadline.due !== -1, due.has(i), `whether ${i} is set`)
  }
  const all: Deadline[] = Array.from({ length: COUNT }, (_, i) => new Deadline(() => {
    const expected = due.get(i)
    assert.ok(expected !== undefined, `${i} fired without being set`)
    due.delete(i)
    const late = clock.now() - expected.at
    assert.ok(late >= -1e-6, `${i} fired ${-late} ms early`)
    // No timer is shorter than a millisecond.
    assert.ok(late <= TICK + 1 + excuse + 1e-6, `${i} fired ${late} ms late, excused are ${excuse}`)
    if (excuse < TURN) {
      assert.ok(expected.tick >= lastTick, `${i} of tick ${expected.tick} fired after one of tick ${lastTick}`)
      lastTick = expected.tick
    }
    check()
    if (used.has(i)) return
    used.add(i)
    const { changes, takes } = scripts[i]!
    for (const what of changes) apply(what)
    excuse += takes
    clock.stall(takes)
  }))
  for (const what of steps) {
    if (what.do === 'tick') clock.tick(what.ms)
    else if (what.do === 'stall') {
      excuse += what.ms
      clock.stall(what.ms)
      clock.tick(0)
    } else apply(what)
    // Scripts run once: what they take may still be felt by those that follow in the same second, no longer.
    if (what.do === 'tick' && what.ms > 200) excuse = 0
    check()
    assert.equal(clock.pendingTimers, due.size > 0 ? 1 : 0, 'a timer while something is set, and only then')
  }
  // Whatever is left fires, each once: the model has let go of it.
  clock.tick(2_000)
  excuse = Infinity
  for (let i = 0; i < 4 * COUNT && due.size > 0; i++) {
    clock.stall(TURN)
    clock.tick(0)
  }
  assert.deepEqual([due.size, deadlines.size, clock.idle], [0, 0, true], 'something is left')
}

test('random schedules of set, move, cancel, time and stalls fire as a naive model does: never early, in time, each once, in order', () => {
  fc.assert(fc.property(fc.record({ steps: fc.array(step, { maxLength: 40 }), scripts: callbacks, start }), run), { numRuns: 600 })
})

test('the model finds a wheel that fires early, late, twice or never', () => {
  const { set: honest } = Deadlines.prototype
  const schedules = fc.record({ steps: fc.array(step, { maxLength: 40 }), scripts: callbacks, start })
  const broken: Array<[what: string, set: typeof honest]> = [
    ['early', function (this: Deadlines, deadline, delay) { honest.call(this, deadline, delay * 0.9) }],
    ['late', function (this: Deadlines, deadline, delay) { honest.call(this, deadline, delay + 2 * TICK) }],
    ['never', function (this: Deadlines, deadline, delay) { if (delay !== TICK) honest.call(this, deadline, delay) }]
  ]
  for (const [what, set] of broken) {
    Deadlines.prototype.set = set
    try {
      assert.equal(fc.check(fc.property(schedules, run), { numRuns: 300 }).failed, true, what)
    } finally {
      Deadlines.prototype.set = honest
    }
  }
})

test('any number set in any order fire in the order of their ticks', () => {
  fc.assert(fc.property(fc.array(fc.nat({ max: TURN - 2 * TICK }), { minLength: 1, maxLength: 200 }), (delays) => {
    const clock = new FakeClock()
    const deadlines = new Deadlines(clock)
    const fired: number[] = []
    for (const delay of delays) deadlines.set(new Deadline(() => { fired.push(Math.ceil(delay / TICK)) }), delay)
    clock.stall(TURN - TICK)
    clock.tick(0)
    assert.deepEqual(fired, delays.map((delay) => Math.max(1, Math.ceil(delay / TICK))).sort((a, b) => a - b).map((tick, i) => fired[i] === 0 ? 0 : tick))
  }), { numRuns: 200 })
})
