import assert from 'node:assert/strict'
import test from 'node:test'
import { BookedTurns, endOf } from '../../lib/drain/booked-turns.ts'
import type { Booked } from '../../lib/drain/booked-turns.ts'

const BOOKED: Booked = { begins: 10_000, first: 500, length: 1_000, turns: [5, 0, 10] }

/** The moments of the next turns, taken in time. */
function moments (turns: BookedTurns, count: number): number[] {
  return Array.from({ length: count }, () => {
    const { next } = turns
    turns.take(next)
    return Math.round(next)
  })
}

test('turns are spread evenly over their piece of time, and none is in a piece without', () => {
  assert.equal(endOf(BOOKED), 12_500)
  assert.deepEqual(moments(new BookedTurns(BOOKED, 0), 15), [10_000, 10_100, 10_200, 10_300, 10_400, 11_500, 11_600, 11_700, 11_800, 11_900, 12_000, 12_100, 12_200, 12_300, 12_400])
})

test('a part of a turn passes before the first one', () => {
  assert.deepEqual(moments(new BookedTurns(BOOKED, 0.5), 6), [10_050, 10_150, 10_250, 10_350, 10_450, 11_550])
  assert.equal(new BookedTurns({ ...BOOKED, turns: [0, 0.1, 0.1, 10] }, 1).next, 12_580)
})

test('more turns than were booked come at the mean rate', () => {
  const turns = new BookedTurns(BOOKED, 0)
  moments(turns, 15)
  // 15 turns in 2,500 ms.
  assert.deepEqual(moments(turns, 2), [12_500, 12_667])
})

test('a little lateness is made up for; turns that are more than 100 ms late are lost', () => {
  const late = new BookedTurns(BOOKED, 0)
  late.take(10_090)
  assert.equal(late.next, 10_100)
  late.take(10_350)
  assert.equal(late.next, 10_400)
})

test('no turn comes before a moment that has passed', () => {
  const turns = new BookedTurns(BOOKED, 0)
  turns.skip(10_250)
  assert.equal(turns.next, 10_300)
  turns.skip(10_300)
  assert.equal(turns.next, 10_300)
})

test('progress towards the next turn is a part of a turn, over pieces of different rates', () => {
  const turns = new BookedTurns(BOOKED, 0)
  assert.equal(turns.shareAfter(10_000), 0)
  moments(turns, 4)
  assert.equal(turns.next, 10_400)
  assert.ok(Math.abs(turns.shareAfter(10_350) - 0.5) < 1e-9)
  // Never more than one turn.
  assert.equal(turns.shareAfter(9_000), 1)
  moments(turns, 1)
  // Half of a turn at the end of the first piece, none in the second, none yet in the third.
  assert.ok(Math.abs(turns.shareAfter(10_450) - 0.5) < 1e-9)
})
