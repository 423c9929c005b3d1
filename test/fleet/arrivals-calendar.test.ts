/**
 * The calendar of arrivals: its arithmetic.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Calendar } from '../../lib/fleet/arrivals-calendar.ts'

const EVEN = { from: 0, share: 0.8, ceiling: Infinity }

/** Clients a second of all bookings at a moment. */
function rateAt (moment: number, bookings: ReadonlyArray<{ begins: number, first: number, seconds: readonly number[] }>): number {
  let sum = 0
  for (const { begins, first, seconds } of bookings) {
    let at = begins
    for (const [i, turns] of seconds.entries()) {
      const width = i === 0 ? first : 1_000
      if (moment >= at && moment < at + width) sum += turns * 1_000 / width
      at += width
    }
  }
  return sum
}

test('a booking takes the share of the capacity, from the rest of the second under way on', () => {
  const calendar = new Calendar()
  assert.deepEqual(calendar.book('a', { ...EVEN, clients: 200 }, 10_750, 100), { first: 250, seconds: [20, 80, 80, 20], rate: 80 })
})

test('the next booking takes the room that is left', () => {
  const calendar = new Calendar()
  calendar.book('a', { ...EVEN, clients: 200 }, 10_000, 100)
  assert.deepEqual(calendar.book('b', { ...EVEN, clients: 100 }, 10_000, 100), { first: 1_000, seconds: [0, 0, 40, 60], rate: 80 })
  // The second under way is full, whatever part of it is left.
  assert.deepEqual(calendar.book('c', { ...EVEN, clients: 10 }, 10_900, 100).seconds, [0, 0, 0, 10])
})

test('however many nodes book at whatever moments, their rates never exceed the share', () => {
  const calendar = new Calendar()
  const bookings = Array.from({ length: 20 }, (_, i) => {
    const now = 10_000 + i * 137
    return { begins: now, ...calendar.book(`node ${i}`, { ...EVEN, clients: 55 }, now, 100) }
  })
  for (let moment = 10_000; moment < 60_000; moment += 10) assert.ok(rateAt(moment, bookings) <= 80 + 1e-6, `${moment}: ${rateAt(moment, bookings)}`)
  assert.ok(Math.abs(bookings.flatMap(({ seconds }) => seconds).reduce((sum, turns) => sum + turns) - 20 * 55) < 1e-6)
})

test('a node that books again replaces what it had, and keeps what comes before the new turns', () => {
  const calendar = new Calendar()
  calendar.book('a', { ...EVEN, clients: 400 }, 10_000, 100)
  // Three seconds and a half were told to clients.
  assert.deepEqual(calendar.book('a', { ...EVEN, clients: 120, from: 3_500 }, 10_000, 100), { first: 500, seconds: [40, 80], rate: 80 })
  assert.deepEqual(calendar.book('b', { ...EVEN, clients: 30 }, 10_000, 100).seconds, [0, 0, 0, 0, 0, 30])
  // Less is left to book: the rest is free.
  calendar.book('a', { ...EVEN, clients: 0, from: 3_500 }, 10_000, 100)
  assert.deepEqual(calendar.book('b', { ...EVEN, clients: 100 }, 10_000, 100).seconds, [0, 0, 0, 40, 60])
})

test('when others leave a node books fewer a second, and those after it move', () => {
  const calendar = new Calendar()
  calendar.book('a', { ...EVEN, clients: 160 }, 10_000, 100)
  assert.deepEqual(calendar.book('b', { ...EVEN, clients: 40 }, 10_000, 50).seconds, [0, 0, 40])
  assert.deepEqual(calendar.book('a', { ...EVEN, clients: 120 }, 10_500, 50), { first: 500, seconds: [20, 40, 0, 40, 20], rate: 40 })
})

test('what an application has set is a ceiling, and slow nodes take one client a second at least', () => {
  const calendar = new Calendar()
  assert.deepEqual(calendar.book('a', { ...EVEN, clients: 30, ceiling: 20 }, 10_000, 100), { first: 1_000, seconds: [20, 10], rate: 20 })
  assert.equal(calendar.book('b', { ...EVEN, clients: 1 }, 10_000, 0.1).rate, 1)
})

test('without capacity nothing is booked, and what was booked is given back', () => {
  const calendar = new Calendar()
  calendar.book('a', { ...EVEN, clients: 30 }, 10_000, 100)
  assert.deepEqual(calendar.book('a', { ...EVEN, clients: 30 }, 10_000, 0), { first: 1_000, seconds: [], rate: 0 })
  assert.equal(calendar.size, 0)
})

test('a booking looks at one hour', () => {
  const calendar = new Calendar()
  const { seconds } = calendar.book('a', { ...EVEN, clients: 10_000 }, 10_000, 1)
  assert.deepEqual([seconds.length, seconds.reduce((sum, turns) => sum + turns)], [3_600, 3_600])
})

test('seconds that are past are forgotten', () => {
  const calendar = new Calendar()
  calendar.book('a', { ...EVEN, clients: 800 }, 10_000, 100)
  assert.equal(calendar.size, 10)
  calendar.book('b', { ...EVEN, clients: 1 }, 19_500, 100)
  assert.equal(calendar.size, 2)
  calendar.book('b', { ...EVEN, clients: 0 }, 30_000, 100)
  assert.equal(calendar.size, 0)
})
