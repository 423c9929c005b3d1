/**
 * The pure decision: which questions are asked, in which order, and what each policy answers.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ceiling, decide } from '../../lib/limit/admission-decision.ts'
import type { AdmissionFacts, Limits } from '../../lib/limit/admission-decision.ts'

const NONE: Limits = { total: false, perOwner: false, perAddress: false, handshakes: false }
const QUIET: AdmissionFacts = { pressure: false, handshakes: 1, total: { counted: 1, physical: 1 } }
const never = () => false
const count = (counted: number, physical = counted) => ({ counted, physical })

test('without limits every connection is admitted', () => {
  assert.deepEqual(decide(NONE, { ...QUIET, total: count(1e6), perOwner: count(1e6), perAddress: count(1e6), handshakes: 1e6 }, never), { admit: true, evict: [] })
})

test('under pressure none is', () => {
  assert.deepEqual(decide(NONE, { ...QUIET, pressure: true }, never), { admit: false, policy: 'pressure' })
})

test('a limit holds as many as it says, and no more', () => {
  const limits: Limits = { ...NONE, total: { max: 3, policy: 'refuse', scope: 'node' }, handshakes: 2 }
  for (const n of [1, 2, 3]) assert.equal(decide(limits, { ...QUIET, total: count(n) }, never).admit, true)
  assert.deepEqual(decide(limits, { ...QUIET, total: count(4) }, never), { admit: false, policy: 'total' })
  assert.equal(decide(limits, { ...QUIET, handshakes: 2 }, never).admit, true)
  assert.deepEqual(decide(limits, { ...QUIET, handshakes: 3 }, never), { admit: false, policy: 'handshakes' })
})

for (const policy of ['refuse', 'evict-oldest'] as const) {
  test(`while sockets of connections evicted by another limit are open, ${policy} counts the connections that keep a place, up to the ceiling`, () => {
    const limits: Limits = { ...NONE, total: { max: 20, policy, scope: 'node' } }
    assert.deepEqual(decide(limits, { ...QUIET, total: count(20, 22) }, never), { admit: true, evict: [] })
    assert.deepEqual(decide(limits, { ...QUIET, total: count(2, 23) }, never), { admit: false, policy: 'total' })
  })
}

for (const policy of ['evict-oldest', 'evict-idlest'] as const) {
  test(`${policy} admits a connection and names the limits that need an eviction, up to the ceiling`, () => {
    const limits: Limits = { ...NONE, total: { max: 20, policy, scope: 'node' } }
    assert.deepEqual(decide(limits, { ...QUIET, total: count(20) }, never), { admit: true, evict: [] })
    assert.deepEqual(decide(limits, { ...QUIET, total: count(21, 22) }, never), { admit: true, evict: ['total'] })
    assert.deepEqual(decide(limits, { ...QUIET, total: count(21, 23) }, never), { admit: false, policy: 'total' })
  })
}

test('the ceiling is a tenth more, rounded down, and one at least', () => {
  assert.deepEqual([1, 2, 10, 19, 20, 1_000].map(ceiling), [2, 3, 11, 20, 22, 1_100])
})

test('each limit that is exceeded has to make room', () => {
  const limits: Limits = { ...NONE, total: { max: 5, policy: 'evict-oldest', scope: 'node' }, perOwner: { max: 2, policy: 'evict-idlest', scope: 'node' }, perAddress: { max: 3, policy: 'evict-oldest', scope: 'node' } }
  assert.deepEqual(decide(limits, { ...QUIET, total: count(6), perOwner: count(3), perAddress: count(4) }, never), { admit: true, evict: ['total', 'perAddress', 'perOwner'] })
})

test('what is not known yet is not asked', () => {
  const limits: Limits = { ...NONE, perOwner: { max: 1, policy: 'refuse', scope: 'node' }, perAddress: { max: 1, policy: 'refuse', scope: 'node' } }
  assert.equal(decide(limits, QUIET, never).admit, true)
})

test('cheap questions come first: pressure, handshakes, total, address, owner', () => {
  const refuse = { max: 1, policy: 'refuse', scope: 'node' } as const
  const limits: Limits = { total: refuse, perOwner: refuse, perAddress: refuse, handshakes: 1 }
  const facts: AdmissionFacts = { pressure: true, handshakes: 2, total: count(2), perAddress: count(2), perOwner: count(2) }
  const asked: string[] = []
  const decision = decide(limits, facts, (policy, action) => {
    asked.push(`${policy} ${action}`)
    return true
  })
  assert.deepEqual(asked, ['pressure refuse', 'handshakes refuse', 'total refuse', 'perAddress refuse', 'perOwner refuse'])
  assert.deepEqual(decision, { admit: true, evict: [] })
})

test('one that only observes is asked what it would have done, and passed over', () => {
  const limits: Limits = { ...NONE, total: { max: 1, policy: 'evict-oldest', scope: 'node' }, perOwner: { max: 1, policy: 'refuse', scope: 'node' } }
  const asked: string[] = []
  const ignored = (policy: string, action: string) => {
    asked.push(`${policy} ${action}`)
    return policy === 'total'
  }
  assert.deepEqual(decide(limits, { ...QUIET, total: count(2), perOwner: count(2) }, ignored), { admit: false, policy: 'perOwner' })
  assert.deepEqual(asked, ['total evict', 'perOwner refuse'])
})
