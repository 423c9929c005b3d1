import assert from 'node:assert/strict'
import test from 'node:test'
import { nearMatch } from '../../lib/base/near-match.ts'

const NAMES = ['heartbeat', 'timeout', 'timeWindow', 'max', 'minDelay', 'maxDelay']

const CASES: Array<[given: string, meant: string | undefined]> = [
  ['heartbeet', 'heartbeat'],
  ['hearbeat', 'heartbeat'],
  ['heartbeatt', 'heartbeat'],
  ['haertbeat', 'heartbeat'],
  ['heartBeat', 'heartbeat'],
  ['HEARTBEAT', 'heartbeat'],
  ['timeOut', 'timeout'],
  ['tmeout', 'timeout'],
  // Two are equally near.
  ['moxDelay', 'maxDelay'],
  ['mDelay', undefined],
  ['mxxDelay', 'maxDelay'],
  // Short names would match anything.
  ['maxx', undefined],
  ['tmout', undefined],
  ['m', undefined],
  ['min', undefined],
  ['', undefined],
  ['beat', undefined],
  ['heartbeats-a-minute', undefined],
  ['x'.repeat(10_000), undefined]
]

for (const [given, meant] of CASES) {
  test(`"${given.slice(0, 20)}" was meant to be ${meant ?? 'none of them'}`, () => {
    assert.equal(nearMatch(given, NAMES), meant)
  })
}

test('two that are equally near are none, in either order, and a nearer one that follows is found', () => {
  assert.equal(nearMatch('abcdex', ['abcdef', 'abcdeg']), undefined)
  assert.equal(nearMatch('abcdex', ['abcdeg', 'abcdef']), undefined)
  assert.equal(nearMatch('abcdex', ['abcdeg', 'abcdef', 'abcdex']), 'abcdex')
})
