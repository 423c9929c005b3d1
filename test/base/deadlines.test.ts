/**
 * The wheel of deadlines, case by case; deadlines-model.test.ts has random schedules.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Deadline, Deadlines, TICK } from '../../lib/base/deadlines.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

/** One turn of the wheel, milliseconds. */
const TURN = 512 * TICK

/** A wheel, and what fired at which moment. */
function setup (now?: number) {
  const clock = new FakeClock(now === undefined ? {} : { now })
  const deadlines = new Deadlines(clock)
  const fired: Array<{ name: string, at: number }> = []
  const make = (name: string, then = () => {}) => new Deadline(() => {
    fired.push({ name, at: clock.now() })
    then()
  })
  return { clock, deadlines, fired, make, names: () => fired.map(({ name }) => name) }
}

test('a deadline fires once, when its time has come', () => {
  const { clock, deadlines, fired, make } = setup()
  deadlines.set(make('a'), 1000)
  clock.tick(999)
  assert.deepEqual(fired, [])
  clock.tick(1 + TICK)
  assert.equal(fired.length, 1)
  clock.tick(2 * TURN)
  assert.equal(fired.length, 1)
})

test('a deadline of no time fires with the next tick, not within the call', () => {
  const { clock, deadlines, fired, make } = setup()
  deadlines.set(make('a'), 0)
  assert.deepEqual(fired, [])
  clock.tick(TICK)
  assert.equal(fired.length, 1)
})

test('a deadline that is over already fires with the next tick', () => {
  const { clock, deadlines, fired, make } = setup()
  deadlines.set(make('other'), TURN)
  clock.tick(10 * TICK + 7)
  deadlines.set(make('a'), -300)
  clock.tick(TICK)
  assert.deepEqual(fired.map(({ name }) => name), ['a'])
})

// The worst that can come together: set late in a tick, due early in one, looked at by a timer of another phase.
for (const [phase, wait, delay] of [[0, 0, 1000], [0, 0, 1001], [49, 1, 2001], [49.9, 0.2, 2000.1], [0, 49, 51], [31, 20, 1]] as const) {
  test(`a deadline is late by a tick at most: set ${wait} ms after a timer of phase ${phase}, for ${delay} ms`, () => {
    const { clock, deadlines, fired, make } = setup()
    clock.tick(phase)
    deadlines.set(make('other'), TURN)
    clock.tick(wait)
    const exact = clock.now() + delay
    deadlines.set(make('a'), delay)
    clock.tick(delay + 4 * TICK)
    const late = fired[0]!.at - exact
    assert.ok(late >= 0 && late <= TICK, `${late} ms late`)
  })
}

test('a deadline that is set again moves, in both directions', () => {
  const { clock, deadlines, fired, make } = setup()
  const [later, sooner] = [make('later'), make('sooner')]
  deadlines.set(later, 100)
  deadlines.set(sooner, 10_000)
  deadlines.set(later, 5000)
  deadlines.set(sooner, 200)
  assert.equal(deadlines.size, 2)
  clock.tick(200 + TICK)
  assert.deepEqual(fired.map(({ name }) => name), ['sooner'])
  clock.tick(5000)
  assert.deepEqual(fired.map(({ name }) => name), ['sooner', 'later'])
})

test('a cancelled deadline does not fire, and can be set again', () => {
  const { clock, deadlines, names, make } = setup()
  const deadline = make('a')
  deadlines.set(deadline, 100)
  deadlines.cancel(deadline)
  clock.tick(1000)
  assert.deepEqual(names(), [])
  deadlines.set(deadline, 100)
  clock.tick(200)
  assert.deepEqual(names(), ['a'])
})

test('cancelling what is not set changes nothing', () => {
  const { clock, deadlines, names, make } = setup()
  const [a, never] = [make('a'), make('never')]
  deadlines.set(a, 100)
  deadlines.cancel(never)
  assert.equal(deadlines.size, 1)
  clock.tick(200)
  deadlines.cancel(a)
  assert.deepEqual([names(), deadlines.size], [['a'], 0])
})

for (const position of ['first', 'middle', 'last'] as const) {
  test(`cancelling the ${position} of a slot leaves the others in it`, () => {
    const { clock, deadlines, names, make } = setup()
    const all = { last: make('last'), middle: make('middle'), first: make('first') }
    for (const deadline of Object.values(all)) deadlines.set(deadline, 100)
    deadlines.cancel(all[position])
    clock.tick(200)
    assert.deepEqual(names().sort(), ['first', 'last', 'middle'].filter((name) => name !== position))
  })
}

test('a delay of many turns of the wheel is waited for', () => {
  const { clock, deadlines, fired, make } = setup()
  const delay = 7 * TURN + 130
  deadlines.set(make('long'), delay)
  deadlines.set(make('short'), 130)
  const exact = clock.now() + delay
  clock.tick(delay - 1)
  assert.deepEqual(fired.map(({ name }) => name), ['short'])
  clock.tick(1 + TICK)
  assert.ok(fired[1]!.at >= exact)
})

test('setting, moving and cancelling touch a few others at most, however many are set', () => {
  const { deadlines, make } = setup()
  let touched = 0
  /** One that counts how often its place in a list is looked at or changed. */
  const counted = () => {
    const deadline = make('counted')
    for (const key of ['previous', 'next'] as const) {
      let value: Deadline | null = null
      Object.defineProperty(deadline, key, {
        get () { touched++; return value },
        set (other: Deadline | null) { touched++; value = other }
      })
    }
    return deadline
  }
  // All in one slot: no list is longer.
  const all = Array.from({ length: 10_000 }, counted)
  for (const deadline of all) deadlines.set(deadline, 5_000)
  assert.ok(touched <= 5 * all.length, `${touched} for ${all.length} that were set`)
  for (const [i, deadline] of all.entries()) {
    touched = 0
    deadlines.set(deadline, i % 2 === 0 ? 5_000 : 7_000)
    assert.ok(touched <= 10, `${touched} for one that moved`)
    touched = 0
    deadlines.cancel(deadline)
    assert.ok(touched <= 10, `${touched} for one that was cancelled`)
  }
})

test('the tick exists only while a deadline does', () => {
  const { clock, deadlines, make } = setup()
  assert.equal(clock.pendingTimers, 0)
  const [a, b] = [make('a'), make('b')]
  deadlines.set(a, 100)
  deadlines.set(b, 100)
  assert.equal(clock.pendingTimers, 1)
  deadlines.cancel(a)
  assert.equal(clock.pendingTimers, 1)
  deadlines.cancel(b)
  assert.equal(clock.pendingTimers, 0)
  deadlines.set(a, 100)
  clock.tick(200)
  assert.ok(clock.idle)
})

test('the tick does not keep the process alive', () => {
  const { clock, deadlines, make } = setup()
  deadlines.set(make('a'), 1000)
  clock.tick(500)
  assert.deepEqual([clock.pendingTimers, clock.refedTimers], [1, 0])
})

test('there is one timer, however many deadlines', () => {
  const { clock, deadlines, make } = setup()
  for (let i = 0; i < 1000; i++) deadlines.set(make(String(i)), i * 7)
  clock.tick(3000)
  assert.equal(clock.pendingTimers, 1)
})

test('after a rest of minutes without deadlines a new one waits its whole time', () => {
  const { clock, deadlines, fired, make } = setup()
  deadlines.set(make('a'), 100)
  clock.tick(200)
  clock.tick(10 * TURN + 33)
  const exact = clock.now() + 1000
  deadlines.set(make('b'), 1000)
  clock.tick(2000)
  assert.ok(fired[1]!.at >= exact && fired[1]!.at <= exact + 3 * TICK)
})

test('after a stall of minutes everything that is due fires once, what is not stays', () => {
  const { clock, deadlines, names, make } = setup()
  for (let i = 0; i < 100; i++) deadlines.set(make(`due ${i}`), i * 2000)
  deadlines.set(make('later'), 600_000)
  clock.stall(300_000)
  clock.tick(0)
  assert.equal(names().length, 100)
  assert.equal(new Set(names()).size, 100)
  clock.tick(299_000)
  assert.equal(names().length, 100)
  clock.tick(2000)
  assert.equal(names().at(-1), 'later')
})

test('after a stall input is read before a deadline fires, so that it can still move it', () => {
  const { clock, deadlines, names, make } = setup()
  const deadline = make('idle')
  deadlines.set(deadline, 1000)
  clock.stall(60_000)
  clock.input(() => { deadlines.set(deadline, 1000) })
  clock.tick(0)
  assert.deepEqual(names(), [])
  clock.tick(2000)
  assert.deepEqual(names(), ['idle'])
})

test('what comes due while a callback of the poll takes long fires after the next poll, so that input can still move it', () => {
  const { clock, deadlines, names, make } = setup()
  const [due, moved] = [make('due'), make('moved')]
  deadlines.set(due, 1000)
  deadlines.set(moved, 1000 + TICK)
  clock.tick(999)
  clock.pass(1)
  clock.input(() => {
    clock.stall(500)
    clock.input(() => { deadlines.set(moved, 1000) })
  })
  clock.turn()
  assert.deepEqual(names(), ['due'])
  clock.tick(999)
  assert.deepEqual(names(), ['due'])
  clock.tick(1 + TICK)
  assert.deepEqual(names(), ['due', 'moved'])
})

test('thousands that are due at once are worked off in slices, input in between', () => {
  const { clock, deadlines, names } = setup()
  const input: number[] = []
  let fired = 0
  for (let i = 0; i < 2000; i++) {
    deadlines.set(new Deadline(() => {
      fired++
      clock.stall(0.1)
      // Something arrives while the callbacks run.
      if (fired % 10 === 0) clock.input(() => { input.push(fired) })
    }), 500)
  }
  clock.tick(1000)
  assert.equal(fired, 2000)
  const longest = Math.max(...input.map((count, i) => count - (input[i - 1] ?? 0)))
  assert.ok(longest <= 25, `${longest} callbacks of 0.1 ms without a look at the input`)
  assert.deepEqual([names(), deadlines.size, clock.idle], [[], 0, true])
})

test('while slices run there is no second tick, and it goes on afterwards', () => {
  const { clock, deadlines, names, make } = setup()
  for (let i = 0; i < 20; i++) deadlines.set(make(`slow ${i}`, () => { clock.stall(3) }), 100)
  deadlines.set(make('later'), 5000)
  clock.stall(150)
  clock.turn()
  assert.equal(clock.pendingTimers, 0)
  assert.equal(names().length, 1)
  clock.tick(0)
  assert.equal(names().length, 20)
  assert.equal(clock.pendingTimers, 1)
  clock.tick(5100)
  assert.equal(names().at(-1), 'later')
})

test('one that is set while slices run fires, never early', () => {
  const { clock, deadlines, fired, make } = setup()
  for (let i = 0; i < 20; i++) deadlines.set(make('slow', () => { clock.stall(3) }), 100)
  clock.stall(150)
  clock.turn()
  const exact = clock.now() + 200
  deadlines.set(make('new'), 200)
  clock.tick(1000)
  const [found] = fired.filter(({ name }) => name === 'new')
  assert.ok(found!.at >= exact)
})

test('when the last one is cancelled while slices run, nothing is left', () => {
  const { clock, deadlines, names, make } = setup()
  const rest = [make('a', () => { clock.stall(5) }), make('b', () => { clock.stall(5) })]
  for (const deadline of rest) deadlines.set(deadline, 100)
  clock.stall(200)
  clock.turn()
  for (const deadline of rest) deadlines.cancel(deadline)
  clock.tick(1000)
  assert.deepEqual([names().length, clock.idle], [1, true])
  deadlines.set(rest[0]!, 100)
  clock.tick(200)
  assert.equal(names().length, 2)
})

test('a callback may cancel the others of its slot', () => {
  const { clock, deadlines, names, make } = setup()
  const all: Deadline[] = []
  for (let i = 0; i < 5; i++) all.push(make(`${i}`, () => { for (const other of all) deadlines.cancel(other) }))
  for (const deadline of all) deadlines.set(deadline, 100)
  clock.tick(1000)
  assert.deepEqual([names().length, deadlines.size, clock.idle], [1, 0, true])
})

test('a callback may move the others of its slot', () => {
  const { clock, deadlines, fired, make } = setup()
  const all: Deadline[] = []
  for (let i = 0; i < 3; i++) {
    all.push(make(`${i}`, () => { for (const other of all) if (other.due !== -1) deadlines.set(other, 1000) }))
  }
  for (const deadline of all) deadlines.set(deadline, 100)
  clock.tick(10_000)
  assert.equal(fired.length, 3)
  assert.ok(fired[1]!.at >= fired[0]!.at + 1000)
  assert.ok(fired[2]!.at >= fired[1]!.at + 1000)
})

test('a callback may set its own deadline again, even for a whole turn of the wheel', () => {
  for (const delay of [0, TICK, TURN - TICK, TURN, TURN + TICK]) {
    const { clock, deadlines, fired, make } = setup()
    const again: Deadline = make('again', () => { if (fired.length < 4) deadlines.set(again, delay) })
    deadlines.set(again, delay)
    clock.tick(5 * (delay + 3 * TICK))
    assert.equal(fired.length, 4, `delay ${delay}`)
    for (let i = 1; i < 4; i++) assert.ok(fired[i]!.at - fired[i - 1]!.at >= delay)
  }
})

test('a callback that throws does not stop the others, nor the wheel', () => {
  const { clock, deadlines, names, make } = setup()
  deadlines.set(make('a'), 100)
  deadlines.set(make('bad', () => { throw new Error('thrown by a callback') }), 100)
  deadlines.set(make('b'), 100)
  deadlines.set(make('later'), 1000)
  // The process has a handler for uncaught exceptions and goes on.
  for (let i = 0; i < 5; i++) {
    try { clock.tick(1000) } catch (error) { assert.equal((error as Error).message, 'thrown by a callback') }
  }
  assert.deepEqual(names().sort(), ['a', 'b', 'bad', 'later'])
})

// ——— ticks

test('ticks are those that have passed, with deadlines or without, looked at or not', () => {
  const { clock, deadlines, make } = setup()
  clock.tick(TICK - 1)
  assert.equal(deadlines.ticks, 0)
  clock.tick(1)
  assert.equal(deadlines.ticks, 1)
  clock.tick(10_000 - TICK)
  assert.equal(deadlines.ticks, 200)
  deadlines.set(make('a'), 60_000)
  clock.tick(1_000)
  assert.equal(deadlines.ticks, 220)
  clock.stall(1_000)
  assert.equal(deadlines.ticks, 240)
})
