/**
 * Sweeps visit each entry once a period, a few at a tick, in slices, while entries are added and removed.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { RUN } from '../../lib/base/clock.ts'
import { TICK } from '../../lib/base/deadlines.ts'
import { Sweep } from '../../lib/base/sweep.ts'
import { seeded } from '../helpers/drain-rig.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

interface Entry { id: number }

/** Sweep of `period`, and every look with its moment; `on` runs in each, and says whether it took its time. */
function setup (period: number, on: (entry: Entry) => boolean = () => false) {
  const clock = new FakeClock()
  const looks: Array<{ id: number, at: number }> = []
  const told = { beats: 0, finishes: 0 }
  const rounds = new Sweep<Entry>(clock, period, {
    beat: () => { told.beats++ },
    visit: (entry) => {
      looks.push({ id: entry.id, at: clock.now() })
      return on(entry)
    },
    finished: () => { told.finishes++ }
  })
  const entries: Entry[] = []
  const add = (count: number) => {
    for (let i = 0; i < count; i++) {
      const entry = { id: entries.length + 1 }
      entries.push(entry)
      rounds.add(entry)
    }
  }
  return { clock, rounds, looks, told, entries, add, looksAt: (id: number) => looks.filter((look) => look.id === id).map(({ at }) => at) }
}

/** Groups that entries are spread over. */
const groupsOf = (period: number) => Math.min(250, Math.max(1, Math.floor(period / TICK)), Math.max(5, Math.ceil(period / 250)))

for (const period of [1, 50, 125, 500, 12_500, 30_000, 31_234, 1_800_000]) {
  test(`each entry is looked at once in ${period} ms, at even distances, none sooner and none later`, () => {
    const { clock, looks, add, looksAt, entries } = setup(period)
    clock.tick(23)
    add(7)
    const exact = Math.max(TICK, period)
    const start = clock.now()
    for (let i = 0; i < 4; i++) clock.tick(exact)
    for (const { id } of entries) {
      const at = looksAt(id)
      assert.ok(at[0]! - start <= exact, `first look at ${id} after ${at[0]! - start} ms`)
      for (let i = 1; i < at.length; i++) assert.ok(Math.abs(at[i]! - at[i - 1]! - exact) < 1e-6)
    }
    assert.ok(looks.length >= 4 * 7 && looks.length <= 5 * 7)
  })
}

for (const [period, count] of [[50, 100], [500, 1_000], [12_500, 1_000], [12_500, 10], [30_000, 5_000], [1_800_000, 1_000]] as const) {
  test(`${count} in ${period} ms are spread, neighbours together: no beat has more than its share`, () => {
    const { clock, looks, add } = setup(period)
    add(count)
    for (let i = 0; i < 2; i++) clock.tick(period)
    const perTick = new Map<number, number>()
    for (const { at } of looks) perTick.set(at, (perTick.get(at) ?? 0) + 1)
    const share = RUN * (Math.ceil(count / RUN / groupsOf(period)) + 1)
    assert.ok(Math.max(...perTick.values()) <= share, `${Math.max(...perTick.values())} looks in one beat, ${share} at most`)
  })
}

test('neighbours are looked at one after another, a run of them at one beat', () => {
  const { looks, clock, add } = setup(12_500)
  add(20 * RUN)
  clock.tick(12_500)
  assert.equal(looks.length, 20 * RUN)
  for (const beat of new Set(looks.map(({ at }) => at))) {
    const ids = looks.filter(({ at }) => at === beat).map(({ id }) => id)
    assert.ok(ids.length <= RUN)
    assert.deepEqual(ids, Array.from(ids, (_, i) => ids[0]! + i))
  }
})

test('an entry keeps its place when others are added and removed', () => {
  const { clock, rounds, entries, add, looksAt } = setup(1_000)
  add(100)
  for (let i = 0; i < 20; i++) {
    clock.tick(333)
    add(10)
    for (const entry of entries.slice(-10, -5)) rounds.remove(entry)
  }
  const at = looksAt(40)
  assert.ok(at.length >= 6)
  for (let i = 1; i < at.length; i++) assert.equal(at[i]! - at[i - 1]!, 1_000)
})

test('looks that take their time are done in slices of 1 ms, input in between', () => {
  const input: number[] = []
  let looks = 0
  const rig = setup(50, () => {
    looks++
    rig.clock.stall(0.1)
    if (looks % 5 === 0) rig.clock.input(() => { input.push(looks) })
    return true
  })
  rig.add(300)
  rig.clock.tick(TICK)
  assert.ok(looks >= 300)
  const longest = Math.max(...input.map((count, i) => count - (input[i - 1] ?? 0)))
  assert.ok(longest <= 20, `${longest} looks of 0.1 ms without a look at the input`)
})

test('a round that takes longer than its period goes on alone: no turn has two slices, and each entry has its turn', () => {
  const { clock, looks, add } = setup(50, () => {
    clock.stall(1)
    return true
  })
  add(100)
  for (let i = 0; i < 1_000; i++) {
    const before = looks.length
    clock.turn()
    assert.ok(looks.length <= before + 1, `${looks.length - before} looks in one turn`)
    if (looks.length === before) clock.stall(1)
  }
  const first = looks.findIndex(({ id }) => id === 1)
  assert.deepEqual(looks.slice(first, first + 300).map(({ id }) => id), Array.from({ length: 300 }, (_, i) => i % 100 + 1))
})

test('a look that took no time is not worth a look at the clock', () => {
  const rig = setup(50)
  rig.add(5_000)
  const { now } = rig.clock
  let asked = 0
  rig.clock.now = function () { asked++; return now.call(this) }
  rig.clock.tick(TICK)
  assert.equal(rig.looks.length, 5_000)
  // What the wheel and the helper above ask does not grow with the number of entries.
  assert.ok(asked - rig.looks.length < 100, `${asked - rig.looks.length} questions`)
})

test('so far behind that groups would be due twice, each entry is looked at once, in order, and the sweep catches up', () => {
  let slow = true
  const rig = setup(200, () => {
    if (slow) rig.clock.stall(5)
    return true
  })
  rig.add(100)
  // 100 looks of 5 ms in a period of 200: the visits never finish.
  for (let i = 0; i < 1_250; i++) rig.clock.turn()
  const rounds = rig.looks.length / 100
  for (const { id } of rig.entries) {
    const count = rig.looksAt(id).length
    assert.ok(Math.abs(count - rounds) <= 1, `${id} was looked at ${count} times, others ${rounds}`)
  }
  slow = false
  rig.clock.tick(1_000)
  const before = rig.looks.length
  rig.clock.tick(2_000)
  assert.equal(rig.looks.length - before, 1_000)
})

test('a stall of any length makes one look, not one for each that was missed', () => {
  for (const stall of [1_000, 60_000, 3_600_000]) {
    const { clock, looks, add } = setup(2_500)
    add(10 * RUN)
    clock.tick(10_000)
    const before = looks.length
    clock.stall(stall)
    clock.tick(0)
    assert.ok(looks.length - before <= RUN, `${looks.length - before} looks after ${stall} ms`)
  }
})

test('however often there are stalls, and whenever, two looks are never closer than a period less half a beat', () => {
  const random = seeded(7)
  for (const period of [50, 100, 1_000, 12_500]) {
    const { clock, add, looksAt } = setup(period)
    add(1)
    for (let i = 0; i < 400; i++) {
      clock.tick(Math.floor(random() * period / 2))
      const stall = Math.floor(random() * 2 * period)
      // Before a turn, or between its timers and its immediates.
      if (i % 2 === 0) clock.stall(stall)
      else clock.input(() => { clock.stall(stall) })
      clock.turn()
    }
    const at = looksAt(1)
    assert.ok(at.length > 20)
    for (let i = 1; i < at.length; i++) assert.ok(at[i]! - at[i - 1]! >= period - period / groupsOf(period) / 2, `${at[i]! - at[i - 1]!} of ${period} ms`)
  }
})

test('looks that are a little late do not put off those that follow', () => {
  const { clock, add, looksAt } = setup(1_000)
  add(1)
  for (let i = 0; i < 400; i++) {
    clock.tick(220)
    clock.stall(30)
  }
  assert.ok(Math.abs(looksAt(1).length - 100) <= 1, `${looksAt(1).length}`)
})

test('rounds of one period beat at the same moments, whenever they began', () => {
  const clock = new FakeClock()
  const beats: number[][] = [[], []]
  const make = (at: number[]) => new Sweep<Entry>(clock, 5_000, { beat: () => { at.push(clock.now()) }, visit: () => false })
  make(beats[0]!).add({ id: 1 })
  clock.tick(1_111)
  make(beats[1]!).add({ id: 1 })
  clock.tick(5_000)
  assert.equal(beats[1]!.length, 20)
  assert.deepEqual(beats[0]!.slice(-20), beats[1])
  clock.stall(1_234)
  clock.tick(5_000)
  assert.deepEqual(beats[0]!.slice(-40), beats[1]!.slice(-40))
  assert.equal(beats[0]!.at(-1)! % 250, 0)
})

test('one that is removed during a look at another is not looked at again', () => {
  const removed = new Set<number>()
  const rig = setup(50, ({ id }) => {
    assert.equal(removed.has(id), false, `${id} is gone`)
    for (const other of [id + 1, id + 2]) {
      const entry = rig.entries[other - 1]
      if (other % 3 !== 1 && entry !== undefined && rig.rounds.remove(entry)) removed.add(other)
    }
    return true
  })
  // Fewer than those whose holes are closed.
  rig.add(30)
  rig.clock.tick(500)
  assert.equal(rig.rounds.size, 10)
})

test('one that removes itself, and one that is added, during a look, leave the others their looks', () => {
  const rig = setup(100, (entry) => {
    if (entry.id % 2 === 0) rig.rounds.remove(entry)
    else if (rig.entries.length < 200) rig.add(1)
    return true
  })
  rig.add(100)
  rig.clock.tick(1_000)
  assert.equal(rig.rounds.size, 100)
  const before = rig.looks.length
  rig.clock.tick(100)
  assert.equal(rig.looks.length - before, 100)
})

test('when the last one is removed in a look, in the middle of a slice, nothing ticks any more', () => {
  const rig = setup(50, () => {
    for (const entry of rig.entries) rig.rounds.remove(entry)
    rig.clock.stall(3)
    return true
  })
  rig.add(20)
  rig.clock.tick(1_000)
  assert.deepEqual([rig.looks.length, rig.rounds.size, rig.clock.idle], [1, 0, true])
  rig.add(1)
  rig.clock.tick(2 * TICK)
  assert.equal(rig.looks.length, 2)
})

test('one that comes when the last has gone between the timer and the look is not looked at twice', () => {
  const { clock, rounds, entries, add, looks, told } = setup(50)
  add(1)
  // Due at the same moment, after it.
  clock.setTimeout(() => {
    rounds.remove(entries[0]!)
    add(1)
  }, TICK)
  clock.tick(TICK)
  assert.deepEqual([told.beats, looks.length], [0, 0])
  clock.tick(TICK)
  assert.deepEqual([told.beats, looks.map(({ id }) => id)], [1, [2]])
})

test('nothing ticks while there are no entries', () => {
  const { clock, rounds, entries, add } = setup(1_000)
  assert.equal(clock.timersMade, 0)
  add(2)
  assert.deepEqual([rounds.size, clock.pendingTimers, clock.refedTimers], [2, 1, 0])
  assert.deepEqual([rounds.remove(entries[0]!), rounds.remove(entries[0]!)], [true, false])
  assert.equal(clock.pendingTimers, 1)
  rounds.remove(entries[1]!)
  assert.deepEqual([rounds.size, clock.idle], [0, true])
})

test('each group that is due is told, and each end of its looks', () => {
  const { clock, told, add } = setup(500)
  add(3)
  clock.tick(1_000)
  assert.deepEqual(told, { beats: 10, finishes: 10 })
})

test('rounds that take longer than their period are not made up for', () => {
  let cost = 300
  const rig = setup(1_000, () => {
    rig.clock.stall(cost)
    return true
  })
  for (let i = 1; i <= 20; i++) rig.rounds.add({ id: i * RUN })
  rig.clock.stall(1_000)
  // A round takes 6 s: something is always due.
  for (let turn = 0; turn < 300; turn++) rig.clock.turn()
  assert.ok(rig.looks.length > 100)
  cost = 0
  rig.looks.length = 0
  rig.clock.tick(100)
  for (let i = 1; i <= 20; i++) assert.ok(rig.looksAt(i * RUN).length <= 2, `${rig.looksAt(i * RUN).length} looks at ${i}`)
})
