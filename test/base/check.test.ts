import assert from 'node:assert/strict'
import test from 'node:test'
import { check, secondsHint } from '../../lib/base/check.ts'

/** What an invalid option is told with. */
function invalid (message: string) {
  return { code: 'SOCKETS_ERR_INVALID_OPTION', message }
}

test('the default stands where nothing is given', () => {
  assert.equal(check.duration('x', undefined, 7), 7)
  assert.equal(check.positive('x', undefined, undefined), undefined)
  assert.equal(check.flag('x', undefined, true), true)
  assert.equal(check.fn('x', undefined), undefined)
  assert.equal(check.where('x', undefined, 'd', () => false, 'never'), 'd')
})

test('the default is not checked', () => {
  assert.equal(check.duration('x', undefined, false as number | false), false)
})

test('null is not nothing', () => {
  assert.throws(() => check.duration('x', null, 7), invalid('x must be a non-negative integer (ms), got null'))
})

test('a duration is 0 or more whole milliseconds', () => {
  for (const value of [0, 1, 2 ** 53 - 1]) assert.equal(check.duration('x', value, 7), value)
  for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53, '5', true, 5n]) {
    assert.throws(() => check.duration('x', value, 7), { code: 'SOCKETS_ERR_INVALID_OPTION' })
  }
})

test('a positive duration is not 0', () => {
  assert.equal(check.positive('x', 1, 7), 1)
  assert.throws(() => check.positive('drain.timeout', 0, 7), invalid('drain.timeout must be a positive integer (ms), got 0'))
})

test('a flag is true or false, nothing like it', () => {
  assert.equal(check.flag('x', false, true), false)
  for (const value of [0, 1, 'true', null, {}]) assert.throws(() => check.flag('x', value, true), { code: 'SOCKETS_ERR_INVALID_OPTION' })
})

test('a function is a function', () => {
  const fn = () => {}
  assert.equal(check.fn('x', fn), fn)
  assert.throws(() => check.fn('onOpen', 'no' as unknown), invalid('onOpen must be a function, got "no"'))
})

test('a conflict has a code of its own, and its message as it is', () => {
  assert.throws(() => check.conflict('100 % %s %d'), { code: 'SOCKETS_ERR_OPTION_CONFLICT', message: '100 % %s %d' })
})

for (const [value, shown] of [
  ['a "b"', '"a \\"b\\""'],
  [() => {}, 'a function'],
  [[], 'an array'],
  [['SIGTRM', 1, true, null, undefined], '["SIGTRM", 1, true, null, undefined]'],
  [[1, 2, 3, 4, 5, 6], 'an array'],
  [[{ password: 'secret' }], 'an array'],
  [[['SIGTERM']], 'an array'],
  [{ password: 'secret' }, 'an object'],
  [Object.create(null), 'an object'],
  [null, 'null'],
  [Symbol('s'), 'Symbol(s)'],
  [5n, '5'],
  [NaN, 'NaN']
] as Array<[unknown, string]>) {
  test(`a wrong value is shown as ${shown}`, () => {
    assert.throws(() => check.where('x', value, 1, () => false, 'else'), invalid(`x must be else, got ${shown}`))
  })
}

test('a value in a sum that is under a second looks like seconds', () => {
  assert.equal(secondsHint('x', 999), '; x 999 looks like seconds: durations are milliseconds')
  assert.equal(secondsHint('x', 1_000), '')
})
