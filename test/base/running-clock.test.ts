/**
 * Time that passes only while the event loop runs: how much a stall counts for, and that nothing else is lost or gained.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Deadline, Deadlines, TICK } from '../../lib/base/deadlines.ts'
import { RunningClock } from '../../lib/base/running-clock.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

const MOST = 2 * TICK

function setup () {
  const clock = new FakeClock()
  const running = new RunningClock(clock)
  const start = running.now()
  return { clock, running, start, passed: () => running.now() - start }
}

/** Keeps a timer of `delay` armed, as a wheel does. */
function beat (running: RunningClock, delay = TICK) {
  let beats = 0
  const arm = () => { running.setTimeout(() => { beats++; arm() }, delay) }
  arm()
  return () => beats
}

test('it starts at 0, whatever the clock below shows', () => {
  assert.equal(new RunningClock(new FakeClock({ now: 123_456 })).now(), 0)
})

test('while timers fire in time it runs as the clock below does', () => {
  const { clock, running, passed } = setup()
  beat(running)
  for (let i = 1; i <= 200; i++) {
    clock.tick(17)
    assert.equal(passed(), 17 * i)
  }
})

test('a timer that is a little late loses nothing', () => {
  const { clock, running, passed } = setup()
  beat(running)
  clock.stall(TICK + 40)
  clock.tick(0)
  assert.equal(passed(), TICK + 40)
})

for (const stall of [101, 1_000, 60_000, 86_400_000]) {
  test(`a stall of ${stall} ms counts as two ticks at most`, () => {
    const { clock, running, passed } = setup()
    beat(running)
    clock.stall(stall)
    // Also before a timer has fired.
    assert.equal(passed(), MOST)
    clock.tick(0)
    assert.equal(passed(), MOST)
    clock.tick(1_000)
    assert.equal(passed(), MOST + 1_000)
  })
}

test('stalls in a row count two ticks each', () => {
  const { clock, running, passed } = setup()
  const beats = beat(running)
  for (let i = 1; i <= 50; i++) {
    clock.stall(10_000)
    clock.tick(0)
    assert.deepEqual([beats(), passed()], [i, i * MOST])
  }
})

test('it never goes back', () => {
  const { clock, running } = setup()
  beat(running)
  let last = 0
  for (const [i, ms] of [3, 700, 49, 50, 51, 99, 100, 101, 20_000, 1, 0].entries()) {
    if (i % 2 === 0) clock.tick(ms)
    else clock.stall(ms)
    const now = running.now()
    assert.ok(now >= last, `${now} after ${last}`)
    last = now
  }
})

test('without a timer two ticks may pass, then none', () => {
  const { clock, running, passed } = setup()
  clock.tick(60)
  assert.equal(passed(), 60)
  clock.tick(60_000)
  assert.equal(passed(), MOST)
  // The first timer after a rest starts from there.
  running.setTimeout(() => {}, TICK)
  assert.equal(passed(), MOST)
  clock.tick(TICK)
  assert.equal(passed(), MOST + TICK)
})

test('a timer fires after its delay of real time, and a cancelled one does not', () => {
  const { clock, running } = setup()
  const fired: string[] = []
  running.setTimeout(() => { fired.push('a') }, 100)
  const cancelled = running.setTimeout(() => { fired.push('b') }, 100)
  running.clearTimeout(cancelled)
  clock.tick(99)
  assert.deepEqual(fired, [])
  clock.tick(1)
  assert.deepEqual([fired, clock.pendingTimers], [['a'], 0])
})

test('a timer can be let go of, so that the process may end', () => {
  const { clock, running } = setup()
  running.setTimeout(() => {}, 100).unref()
  assert.deepEqual([clock.pendingTimers, clock.refedTimers], [1, 0])
})

test('immediates are those of the clock below', () => {
  const { clock, running } = setup()
  let called = 0
  running.setImmediate(() => { called++ })
  clock.turn()
  assert.equal(called, 1)
})

// ——— deadlines on it

test('a deadline on running time is put off by a stall of any length', () => {
  for (const stall of [500, 5_000, 3_600_000]) {
    const { clock, running } = setup()
    const deadlines = new Deadlines(running)
    let fired = 0
    deadlines.set(new Deadline(() => { fired++ }), 10_000)
    clock.tick(5_000)
    clock.stall(stall)
    clock.tick(0)
    clock.tick(5_000 - MOST - 1)
    assert.equal(fired, 0, `after a stall of ${stall} ms`)
    clock.tick(1 + 2 * TICK)
    assert.deepEqual([fired, clock.idle], [1, true])
  }
})

test('ticks of running time are looks at what has arrived: a stall is one or two of them', () => {
  const { clock, running } = setup()
  const deadlines = new Deadlines(running)
  deadlines.set(new Deadline(() => {}), 3_600_000)
  clock.tick(1_000)
  const before = deadlines.ticks
  clock.stall(600_000)
  clock.tick(0)
  const counted = deadlines.ticks - before
  assert.ok(counted >= 1 && counted <= 2, `${counted} ticks`)
})

test('a crowd of deadlines set one after the other, after a rest, does not wait longer for it', () => {
  const { clock, running } = setup()
  const deadlines = new Deadlines(running)
  clock.tick(3_600_000)
  const at: number[] = []
  const start = clock.now()
  for (let i = 0; i < 10; i++) deadlines.set(new Deadline(() => { at.push(clock.now() - start) }), 1_000)
  clock.tick(2_000)
  assert.equal(at.length, 10)
  for (const moment of at) assert.ok(moment >= 1_000 && moment <= 1_000 + 2 * TICK, `${moment} ms`)
})

test('many that are due at once are worked off in slices, however long all of them take', () => {
  const { clock, running } = setup()
  const deadlines = new Deadlines(running)
  const input: number[] = []
  let fired = 0
  for (let i = 0; i < 5_000; i++) {
    deadlines.set(new Deadline(() => {
      fired++
      clock.stall(0.1)
      if (fired % 10 === 0) clock.input(() => { input.push(fired) })
    }), 500)
  }
  clock.tick(2_000)
  assert.equal(fired, 5_000)
  const longest = Math.max(...input.map((count, i) => count - (input[i - 1] ?? 0)))
  assert.ok(longest <= 40, `${longest} callbacks of 0.1 ms without a look at the input`)
})
