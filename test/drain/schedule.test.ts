import assert from 'node:assert/strict'
import test from 'node:test'
import { hasTurns, Schedule } from '../../lib/drain/schedule.ts'
import type { Spread } from '../../lib/drain/schedule.ts'
import { seeded } from '../helpers/drain-rig.ts'

const RECONNECT = { rate: 200, minDelay: 0, maxDelay: 60_000 }

interface Frame {
  at: number
  wait: number
}

interface Case {
  spread?: Spread
  reconnect?: Partial<typeof RECONNECT>
  count: number
  until: number
  /** What closing a connection takes, milliseconds. @default 0.4 */
  cost?: number
}

/** The frames of a schedule that starts at 0, each sent when it is due, or up to `lateness` milliseconds later. */
function frames ({ spread = 'auto', reconnect, count, until, cost = 0.4 }: Case, lateness = () => 0): Frame[] {
  const schedule = new Schedule({ ...RECONNECT, ...reconnect })
  schedule.begin(spread, count, 0, until)
  const sent: Frame[] = []
  for (let left = count; left > 0; left--) {
    const at = Math.max(sent.at(-1)?.at ?? 0, schedule.due(left * cost) + lateness())
    sent.push({ at, wait: schedule.wait(at) })
    schedule.next(at, left)
  }
  return sent
}

/** When each client is back, in the order of their frames. */
function back (sent: readonly Frame[]): number[] { return sent.map(({ at, wait }) => at + wait) }

/** The largest number of moments within a second. */
function busiest (moments: readonly number[]): number {
  let first = 0
  return Math.max(...moments.map((moment, last) => {
    while (moments[first]! <= moment - 1_000) first++
    return last - first + 1
  }))
}

test('turns are waited for unless all of them come within 100 ms', () => {
  assert.deepEqual([19, 20].map((count) => hasTurns('auto', 200, count)), [false, true])
  assert.deepEqual([false, 0, 1_000].map((spread) => hasTurns(spread as Spread, 200, 20)), [false, false, false])
})

test('clients that come later than the first frame have their turns, however few there were then', () => {
  const schedule = new Schedule({ ...RECONNECT, rate: 5 })
  schedule.begin('auto', 0, 0, 52_000)
  schedule.resume(700)
  assert.deepEqual([schedule.due(0.4), schedule.wait(700)], [700, 0])
  schedule.next(700, 1)
  schedule.resume(710)
  assert.deepEqual([schedule.due(0.4), schedule.wait(900)], [900, 0])
  // But not longer than the last frame may wait.
  assert.equal(schedule.due(51_200), 800)
})

test('a client is closed in its turn, and told no delay', () => {
  const sent = frames({ count: 10_000, until: 52_000 })
  for (const [i, { at, wait }] of sent.entries()) assert.deepEqual([at, wait], [i * 5, 0])
})

test('few clients are closed at once, and wait for their turns elsewhere', () => {
  assert.deepEqual(frames({ count: 4, until: 52_000 }), [0, 5, 10, 15].map((wait) => ({ at: 0, wait })))
})

test('clients whose turns come too late are closed as late as closing them allows, evenly, and wait for the rest', () => {
  const sent = frames({ count: 20_000, until: 52_000 })
  const early = sent.findIndex(({ wait }) => wait > 0)
  // i * 5 = 52,000 − (20,000 − i) * 0.4
  assert.equal(early, Math.ceil(44_000 / 4.6))
  assert.ok(sent.slice(0, early).every(({ at }, i) => at === i * 5))
  for (const [i, { at }] of sent.slice(early).entries()) assert.ok(Math.abs(at - (52_000 - (20_000 - early - i) * 0.4)) < 1e-6)
  assert.ok(sent.at(-1)!.at <= 52_000)
  for (const [i, moment] of back(sent).entries()) assert.ok(Math.abs(moment - i * 5) < 1e-6)
})

test('where closing takes all the time there is, frames go out evenly over it', () => {
  const sent = frames({ count: 20_000, until: 5_600, cost: 1 })
  for (const [i, { at }] of sent.entries()) assert.ok(Math.abs(at - i * 5_600 / 20_000) < 1e-6)
})

test('turns come closer together if the last delay would be over maxDelay', () => {
  const sent = frames({ count: 100_000, until: 52_000, reconnect: { minDelay: 1_000 } })
  const moments = back(sent)
  assert.ok(Math.abs(moments.at(-1)! - (52_000 + 59_000)) < 2)
  assert.ok(sent.every(({ wait }) => wait <= 59_001))
})

test('frames that are a little late make up for it, and the rate holds', () => {
  const random = seeded(3)
  const sent = frames({ count: 2_000, until: 52_000 }, () => random() * 20)
  assert.ok(sent.at(-1)!.at < 10_020)
  assert.ok(sent.every(({ wait }) => wait === 0))
  assert.ok(busiest(back(sent)) <= 1.05 * 200)
})

test('after a long delay the next clients are closed in turns again: more than 1.05 times the rate do not come back in a second', () => {
  const random = seeded(4)
  const sent = frames({ count: 4_000, until: 52_000 }, () => random() < 0.01 ? 500 : 0)
  assert.ok(busiest(back(sent)) <= 1.05 * 200 + 1, `${busiest(back(sent))}`)
})

test('where a frame can be sent in a tenth of the time only, nearly all of the rate is reached, and holds', () => {
  const schedule = new Schedule(RECONNECT)
  schedule.begin('auto', 2_000, 0, 52_000)
  const moments: number[] = []
  // Runs for 10 ms of every 100.
  for (let now = 0; moments.length < 2_000; now += now % 100 < 9 ? 1 : 91) {
    while (moments.length < 2_000 && schedule.due(0) <= now) {
      schedule.next(now, 2_000 - moments.length)
      moments.push(now)
    }
  }
  assert.ok(moments.at(-1)! <= 10_600, `${moments.at(-1)}`)
  assert.ok(busiest(moments) <= 1.05 * 200, `${busiest(moments)}`)
})

test('after a stall no more come back within any second than the rate allows', () => {
  for (const stall of [100, 250, 500, 1_000, 3_000]) {
    let late = false
    const sent = frames({ count: 1_500, until: 52_000 }, () => {
      const lateness = late ? 0 : stall
      late = true
      return lateness
    })
    assert.ok(busiest(back(sent)) <= 1.05 * 200, `${stall}: ${busiest(back(sent))}`)
    assert.ok(back(sent).at(-1)! <= 1_500 * 5 + stall + 250)
  }
})

test('after a pause the turns go on from there', () => {
  const schedule = new Schedule(RECONNECT)
  schedule.begin('auto', 100, 0, 52_000)
  schedule.next(0, 100)
  schedule.resume(3_000)
  assert.equal(schedule.due(0), 3_000)
  schedule.next(3_000, 99)
  assert.equal(schedule.due(0), 3_005)
  schedule.resume(3_000)
  assert.equal(schedule.due(0), 3_005)
})

test('closed at once, clients come back evenly over n / rate', () => {
  const sent = frames({ spread: false, count: 1_000, until: 5_000 })
  assert.ok(sent.every(({ at }) => at === 0))
  assert.deepEqual(sent.map(({ wait }) => wait), Array.from({ length: 1_000 }, (_, i) => i * 5))
})

test('closed at once, more clients than come back within maxDelay come back evenly over it', () => {
  const sent = frames({ spread: false, count: 20_000, until: 5_000, reconnect: { minDelay: 1_000 } })
  for (const [i, { wait }] of sent.entries()) assert.ok(Math.abs(wait - i * 59_000 / 20_000) < 1e-3)
  assert.equal(frames({ spread: false, count: 100, until: 5_000, reconnect: { rate: 1, minDelay: 3_000, maxDelay: 3_000 } }).at(-1)!.wait, 0)
})

test('clients that are closed evenly wait for what is left of their turns', () => {
  const sent = frames({ spread: 1_000, count: 500, until: 5_000 })
  for (const [i, { at, wait }] of sent.entries()) assert.ok(Math.abs(at - i * 2) < 1e-6 && Math.abs(wait - i * 3) < 1e-6)
})

test('before frames have begun the next client gets the next turn', () => {
  const schedule = new Schedule(RECONNECT)
  assert.equal(schedule.wait(1_000), 0)
  schedule.next(1_000, 1)
  schedule.next(1_000, 1)
  assert.equal(schedule.wait(1_000), 0)
})

test('turns that were booked take the place of those at the rate, however few clients there are', () => {
  const schedule = new Schedule(RECONNECT)
  schedule.book({ begins: 300, first: 500, length: 1_000, turns: [5, 10] }, 0, 0)
  schedule.begin('auto', 4, 0, 52_000)
  const dues = [4, 3, 2, 1].map((left) => {
    const due = schedule.due(0)
    schedule.next(due, left)
    return due
  })
  assert.deepEqual(dues, [300, 400, 500, 600])
})

test('turns that are booked again go on from there, and not before those that clients were told', () => {
  const schedule = new Schedule(RECONNECT)
  schedule.book({ begins: 0, first: 1_000, length: 1_000, turns: [10] }, 0, 0)
  schedule.begin('auto', 10, 0, 52_000)
  schedule.next(0, 10)
  // Half of the turn has passed; half of it is left at half of the rate.
  schedule.book({ begins: 50, first: 1_000, length: 1_000, turns: [5] }, 0, 50)
  assert.equal(Math.round(schedule.due(0)), 150)
  assert.equal(schedule.told(50), 0)
  schedule.next(50, 9)
  assert.equal(Math.round(schedule.told(50)), 100)
  schedule.book({ begins: 100, first: 1_000, length: 1_000, turns: [100] }, 0, 100)
  assert.ok(schedule.due(0) >= 150 && schedule.due(0) < 160)
})

test('booked turns come closer together if the last delay would be over maxDelay', () => {
  const schedule = new Schedule({ ...RECONNECT, maxDelay: 10_000 })
  schedule.book({ begins: 0, first: 1_000, length: 1_000, turns: Array.from({ length: 40 }, () => 10) }, 0, 0)
  schedule.begin('auto', 400, 0, 10_000)
  const sent: Frame[] = []
  for (let left = 400; left > 0; left--) {
    const at = schedule.due(left * 0.4)
    sent.push({ at, wait: schedule.wait(at) })
    schedule.next(at, left)
  }
  const last = back(sent).at(-1)!
  assert.ok(last > 19_900 && last <= 20_000, `${last}`)
  assert.ok(sent.every(({ wait }) => wait <= 10_000))
})
