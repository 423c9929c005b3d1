import assert from 'node:assert/strict'
import test from 'node:test'
import { Capacity } from '../../lib/fleet/capacity.ts'
import { generator } from '../helpers/generator.ts'

/** A node whose handshakes cost `cost` seconds of the event loop, beside `other` of it for other work. */
function node ({ cost = 0.002, other = 0.1, noise = 0.01, rate = 200 } = {}) {
  const random = generator(7)
  const counters = { now: 0, busy: 0, cpu: 0, handshakes: 0, time: 0 }
  const capacity = new Capacity(rate, () => ({ ...counters }))
  /** Lets two seconds pass with so many handshakes a second, which take so many milliseconds each; the process has a part of a CPU. */
  const pass = (handshakes: number, took = 5, costs = cost, share = 1) => {
    const count = Math.round(2 * handshakes)
    const worked = Math.min(share, Math.max(0, other + costs * count / 2 + (random() - 0.5) * 2 * noise))
    counters.now += 2_000
    counters.busy += 2_000 * worked / share
    counters.cpu += 2_000 * worked
    counters.handshakes += count
    counters.time += count * took
    return capacity.measure()
  }
  return { capacity, counters, pass, random }
}

test('before handshakes have come the capacity is the rate that was set', () => {
  const { capacity, pass } = node({ other: 0, noise: 0 })
  assert.equal(capacity.measure(), 200)
  for (let i = 0; i < 100; i++) assert.equal(pass(0), 200)
})

test('after handshakes at different rates it is within 10 % of what saturates the event loop', () => {
  for (const cost of [0.0002, 0.001, 0.005, 0.02]) {
    for (const other of [0, 0.1, 0.5]) {
      const { pass, random } = node({ cost, other })
      let measured = 0
      for (let i = 0; i < 60; i++) measured = pass(random() * 0.3 / cost)
      const saturates = (1 - other) / cost
      assert.ok(Math.abs(measured / saturates - 1) < 0.1, `${cost} ${other}: ${measured}, ${saturates}`)
    }
  }
})

test('a few handshakes among noise change little, and never make it more than it was', () => {
  const { pass, random } = node({ cost: 0.001, noise: 0.05, other: 0.1 })
  for (let i = 0; i < 100; i++) {
    const measured = pass(random() * 2)
    assert.ok(measured > 60 && measured <= 210, `${measured}`)
  }
})

test('when handshakes take twice as long the capacity is half', () => {
  const { pass, random } = node({ cost: 0.002, noise: 0.002 })
  let before = 0
  for (let i = 0; i < 60; i++) before = pass(20 + random() * 80, 30)
  let after = 0
  for (let i = 0; i < 20; i++) after = pass(20 + random() * 80, 60)
  assert.ok(Math.abs(after / before - 0.5) < 0.1, `${before} ${after}`)
  for (let i = 0; i < 40; i++) after = pass(20 + random() * 80, 30)
  assert.ok(Math.abs(after / before - 1) < 0.1, `${before} ${after}`)
})

test('a process that gets a part of a CPU takes that part, within 20 seconds, and all when it has it again', () => {
  for (const took of [1, 30]) {
    const { pass, random } = node({ cost: 0.002, other: 0.05, noise: 0.002 })
    const measure = (share: number): number => {
      let measured = 0
      for (let i = 0; i < 10; i++) measured = pass(20 + random() * 80, took / share, 0.002, share)
      return measured
    }
    for (let i = 0; i < 6; i++) measure(1)
    const [starved, again] = [measure(0.25), (measure(1), measure(1))]
    assert.ok(Math.abs(starved / ((0.25 - 0.05) / 0.002) - 1) < 0.3, `${took}: ${starved}`)
    assert.ok(Math.abs(again / ((1 - 0.05) / 0.002) - 1) < 0.3, `${took}: ${again}`)
  }
})

test('a process that had a CPU for almost all of its busy time lacks none', () => {
  const { pass, random } = node({ cost: 0.002, other: 0.05, noise: 0.002 })
  let measured = 0
  for (let i = 0; i < 40; i++) measured = pass(20 + random() * 80, 5, 0.002, 0.88)
  assert.ok(Math.abs(measured / ((1 - 0.05) / 0.002) - 1) < 0.05, `${measured}`)
})

test('CPU time of other threads is none of the event loop', () => {
  const { pass, counters, random } = node({ cost: 0.002, other: 0.1 })
  let measured = 0
  for (let i = 0; i < 60; i++) {
    counters.cpu += 4_000
    measured = pass(random() * 150)
  }
  assert.ok(Math.abs(measured / 450 - 1) < 0.1, `${measured}`)
})

test('a handshake of a few milliseconds is never slow', () => {
  const { pass, random } = node({ noise: 0.001 })
  let before = 0
  for (let i = 0; i < 60; i++) before = pass(random() * 100, 1)
  assert.ok(pass(50, 15) > before * 0.9)
})

test('handshakes that have become dearer are found within two minutes', () => {
  const { pass, random } = node({ cost: 0.001 })
  for (let i = 0; i < 100; i++) pass(random() * 100)
  let measured = 0
  for (let i = 0; i < 60; i++) measured = pass(random() * 100, 5, 0.004)
  assert.ok(measured < 320, `${measured}`)
})

test('a node that is busy has some capacity left, and measurements of less than a second are none', () => {
  const { pass, capacity, counters } = node({ other: 1, noise: 0 })
  for (let i = 0; i < 10; i++) pass(0)
  assert.equal(pass(0), 10)
  counters.now += 900
  counters.busy = 0
  counters.cpu = 0
  assert.equal(capacity.measure(), 10)
})

test('it is a number at the lowest rates and steady handshakes, too, whose sums are inexact', () => {
  for (const rate of [0.01, 0.1]) {
    const { capacity, counters } = node({ rate })
    for (let i = 1; i <= 200; i++) {
      const time = 2_000 + i % 13 / 7
      counters.now += time
      counters.busy += time / 2
      counters.cpu += time / 2
      counters.handshakes += 5 * time
      counters.time += 15 * time
      const measured = capacity.measure()
      assert.ok(measured >= 1 && measured < Infinity, `${measured} after ${i} measurements`)
    }
  }
})
