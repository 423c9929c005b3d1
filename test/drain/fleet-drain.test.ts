/**
 * A drain that books turns in the calendar of its fleet.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { DrainFleet } from '../../lib/drain/bookings.ts'
import { createRig } from '../helpers/drain-rig.ts'
import type { Rig, RigOptions } from '../helpers/drain-rig.ts'

/** A drain in a fleet whose others take 100 clients a second, of which it gets 10. */
function inFleet (options: RigOptions = {}, { rate = 100, leavers = 1, fails = false } = {}): Rig & { calls: Array<[clients: number, from: number]> } {
  const calls: Array<[number, number]> = []
  const fleet: DrainFleet = {
    rate,
    leavers,
    book (clients, from) {
      calls.push([clients, from])
      return Promise.resolve(fails || clients === 0 ? null : { begins: rig.clock.now() + from, first: 1_000, length: 1_000, turns: Array.from({ length: Math.ceil(clients / 10) }, () => 10) })
    }
  }
  const rig = createRig({ terminationGracePeriod: 30_000, spread: 'auto', takeover: true, reconnect: { minDelay: 0 }, fleet, ...options })
  return Object.assign(rig, { calls })
}

test('each client is closed in a turn that was booked, and told that it may come at once', async () => {
  const rig = inFleet()
  rig.crowd(20)
  const report = await rig.run()
  assert.deepEqual(rig.calls[0], [20, 300])
  assert.ok(rig.frames[0]!.at >= 300 && rig.frames[0]!.at <= 405, `${rig.frames[0]!.at}`)
  for (const [i, { at, reason }] of rig.frames.entries()) {
    assert.equal(reason, 'service restart; retry=0')
    assert.ok(Math.abs(at - rig.frames[0]!.at - i * 100) < 10, `${i}: ${at}`)
  }
  assert.equal(report.reconnect, null)
})

test('what is left is booked again, until the drain is over', async () => {
  const rig = inFleet()
  rig.crowd(20)
  await rig.run()
  assert.ok(rig.calls.length > 10)
  assert.deepEqual(rig.calls.map(([clients]) => clients), rig.calls.map(([clients]) => clients).sort((a, b) => b - a))
  assert.ok(rig.calls.at(-1)![0] <= 1)
  const { length } = rig.calls
  await rig.clock.run(5_000)
  assert.equal(rig.calls.length, length)
})

test('turns are booked when the drain begins, and clients that come while it settles have some, too', async () => {
  const rig = inFleet({ settleDelay: 2_000 })
  void rig.start('SIGTERM')
  await rig.clock.run(1_000)
  assert.deepEqual(rig.calls[0], [0, 2_000])
  rig.crowd(5)
  await rig.finish()
  assert.ok(rig.calls.some(([clients]) => clients === 5))
  assert.equal(rig.frames.length, 5)
  assert.ok(rig.frames[0]!.at >= 2_000 && rig.frames.at(-1)!.at - rig.frames[0]!.at > 350)
})

test('clients whose turns come after the last close frame are told when they come', async () => {
  const rig = inFleet({ terminationGracePeriod: 8_000 })
  rig.crowd(60)
  await rig.run()
  const last = rig.frames.at(-1)!
  assert.ok(rig.frames.some(({ retry }) => retry === 0) && last.retry > 2_000, `${last.retry}`)
})

test('if turns cannot be booked, clients come at the part of the node in what the others take', async () => {
  const rig = inFleet({}, { fails: true, leavers: 5 })
  rig.crowd(20)
  await rig.run()
  // 100 a second for 5 nodes: 50 ms apart.
  assert.ok(Math.abs(rig.frames.at(-1)!.at - rig.frames[0]!.at - 19 * 50) < 20, `${rig.frames.at(-1)!.at - rig.frames[0]!.at}`)
})

test('a drain without connections ends at once, and the last node of a fleet drains as without one', async () => {
  const nobody = inFleet()
  void nobody.start('close')
  assert.deepEqual([nobody.drain.phase, nobody.calls], ['done', []])
  const alone = inFleet({}, { rate: 0 })
  alone.crowd(20)
  await alone.run()
  assert.deepEqual(alone.calls, [])
  // At reconnect.rate, 200 a second, from the start on.
  assert.ok(alone.frames.at(-1)!.at < 110)
  assert.ok(alone.frames.every(({ reason }) => reason === 'service restart'))
})

test('the plan says when clients are back by what the others take, and when that is too little', () => {
  const rig = inFleet()
  rig.crowd(200)
  assert.equal(rig.drain.plan.clients[0]!.lastBack, 1_990)
  rig.crowd(3_000)
  assert.match(rig.drain.plan.clients[0]!.what, /; the fleet is too small: the other nodes take 100 clients a second; to close all in their turns, raise drain\.terminationGracePeriod to \d+, or let them take \d+$/)
})
