import assert from 'node:assert/strict'
import test from 'node:test'
import { Bookings } from '../../lib/drain/bookings.ts'
import type { DrainFleet } from '../../lib/drain/bookings.ts'
import type { Booked } from '../../lib/drain/booked-turns.ts'
import { Schedule } from '../../lib/drain/schedule.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

const RECONNECT = { rate: 200, minDelay: 0, maxDelay: 60_000 }

/** A fleet that books `rate` turns a second for each call; calls and answers are in the hands of the test. */
function rig ({ rate = 100, left = 1_000 } = {}) {
  const clock = new FakeClock()
  const schedule = new Schedule(RECONNECT)
  const calls: Array<{ at: number, clients: number, from: number }> = []
  let answer: (from: number) => Promise<Booked | null> = (from) => Promise.resolve({ begins: clock.now() + from, first: 1_000, length: 1_000, turns: Array.from({ length: 10 }, () => 100) })
  const startedAt = clock.now()
  const fleet: DrainFleet = {
    rate,
    leavers: 2,
    book (clients, from) {
      calls.push({ at: clock.now() - startedAt, clients, from })
      return answer(from)
    }
  }
  const counts = { left, changes: 0 }
  const bookings = new Bookings({ clock, fleet, random: () => 0 }, schedule, () => counts.left, () => { counts.changes++ })
  return { clock, schedule, calls, bookings, counts, startedAt, answersWith: (how: typeof answer) => { answer = how } }
}

test('the first turns come 300 ms after the first booking, and no earlier than the node has settled', async () => {
  for (const [settles, from] of [[0, 300], [100, 300], [2_000, 2_000]] as const) {
    const { bookings, calls, schedule, clock, startedAt } = rig()
    bookings.begin(settles)
    await clock.run(0)
    assert.deepEqual(calls, [{ at: 0, clients: 1_000, from }])
    schedule.begin('auto', 1_000, clock.now(), clock.now() + 50_000)
    assert.equal(schedule.due(0) - startedAt, from)
    bookings.end()
  }
})

test('the drain goes on when the first booking is answered', async () => {
  const { bookings, clock, answersWith } = rig()
  let answer = () => {}
  answersWith(() => new Promise((resolve) => { answer = () => { resolve(null) } }))
  let goesOn = 0
  bookings.begin(0)
  bookings.whenAnswered(() => { goesOn++ })
  await clock.run(100)
  assert.equal(goesOn, 0)
  answer()
  await clock.run(0)
  assert.equal(goesOn, 1)
  bookings.whenAnswered(() => { goesOn++ })
  assert.equal(goesOn, 2)
  bookings.end()
})

test('turns are booked again, the sooner the nearer the next one is', async () => {
  const { bookings, clock, calls, counts, schedule } = rig()
  bookings.begin(4_000)
  await clock.run(2_000)
  // Half of the time until the next turn, 500 ms at most.
  assert.deepEqual(calls.map(({ at }) => at), [0, 500, 1_000, 1_500, 2_000])
  await clock.run(1_999)
  assert.deepEqual(calls.slice(-4).map(({ at }) => at), [3_500, 3_750, 3_875, 3_975])
  counts.left = 400
  schedule.begin('auto', 400, clock.now(), clock.now() + 50_000)
  await clock.run(200)
  assert.deepEqual(calls.slice(-2).map(({ clients, from }) => [clients, from]), [[400, 0], [400, 0]])
  bookings.end()
  const { length } = calls
  await clock.run(2_000)
  assert.equal(calls.length, length)
  // Each of them has told the drain.
  assert.equal(counts.changes, length)
})

test('turns that clients were told are not booked again', async () => {
  const { bookings, clock, calls, schedule } = rig()
  bookings.begin(0)
  await clock.run(0)
  const now = clock.now()
  // No time is left: clients are told of their turns.
  schedule.begin('auto', 1_000, now, now)
  for (let left = 1_000; left > 700; left--) schedule.next(now, left)
  await clock.run(150)
  assert.ok(Math.abs(calls[1]!.from - (300 + 299 * 10 - 150)) < 1, `${calls[1]!.from}`)
  bookings.end()
})

test('a booking that fails leaves the turns of the one before', async () => {
  const { bookings, clock, schedule, answersWith } = rig()
  bookings.begin(0)
  await clock.run(0)
  answersWith(() => Promise.resolve(null))
  const wait = schedule.wait(clock.now())
  await clock.run(200)
  assert.equal(schedule.wait(clock.now()), wait - 200)
  bookings.end()
})

test('if the first booking fails, the node takes its part of what the others take', async () => {
  const { bookings, clock, schedule, startedAt, answersWith } = rig()
  answersWith(() => Promise.resolve(null))
  bookings.begin(0)
  await clock.run(0)
  schedule.begin('auto', 1_000, clock.now(), clock.now() + 50_000)
  const turns = Array.from({ length: 3 }, (_, i) => {
    const due = schedule.due(0)
    schedule.next(due, 1_000 - i)
    return due - startedAt
  })
  // Two nodes leave, and the others take 100 a second.
  assert.deepEqual(turns, [300, 320, 340])
  bookings.end()
})

test('nothing is booked without a fleet, without another node, or without clients', async () => {
  const calls: unknown[] = []
  const fleet = (rate: number): DrainFleet => ({ rate, leavers: 1, book: (...args) => { calls.push(args); return Promise.resolve(null) } })
  for (const [given, left] of [[null, 10], [fleet(0), 10], [fleet(100), 0]] as const) {
    const bookings = new Bookings({ clock: new FakeClock(), fleet: given, random: () => 0 }, new Schedule(RECONNECT), () => left, () => {})
    bookings.begin(0)
    let goesOn = false
    bookings.whenAnswered(() => { goesOn = true })
    assert.deepEqual([calls, goesOn], [[], true])
    bookings.end()
  }
  // While the node settles clients may come.
  const bookings = new Bookings({ clock: new FakeClock(), fleet: fleet(100), random: () => 0 }, new Schedule(RECONNECT), () => 0, () => {})
  bookings.begin(1_000)
  assert.deepEqual(calls, [[0, 1_000]])
  bookings.end()
})
