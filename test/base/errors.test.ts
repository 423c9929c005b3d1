import assert from 'node:assert/strict'
import test from 'node:test'
import * as errors from '../../lib/base/errors.ts'

const classes = Object.entries(errors)

test('every error is made from its own name, which starts with SOCKETS_ERR_', () => {
  assert.ok(classes.length >= 12)
  for (const [name, Class] of classes) {
    const error = new (Class as new (...args: string[]) => Error & { code: string })('a', 'b', 'c')
    assert.equal(error.code, name)
    assert.match(name, /^SOCKETS_ERR_[A-Z_]+$/)
    assert.ok(error instanceof Error)
  }
})

test('no two errors have the same code', () => {
  const codes = classes.map(([, Class]) => new (Class as new (...args: string[]) => { code: string } & Error)('a', 'b', 'c').code)
  assert.equal(new Set(codes).size, codes.length)
})

test('a message has all that it was given, and no place is left open', () => {
  for (const [name, Class] of classes) {
    const { message } = new (Class as new (...args: string[]) => Error)('first', 'second', 'third')
    assert.doesNotMatch(message, /%[sdo]/, name)
    assert.ok(message.length > 4, name)
  }
  assert.equal(new errors.SOCKETS_ERR_INVALID_ARGUMENT('x', 'y', 'z').message, 'x must be y, got z')
})

test('what was given is not taken for a format', () => {
  assert.equal(new errors.SOCKETS_ERR_CLOSED('100 %s').message, 'connection closed: 100 %s')
})

test('mistakes in types are TypeErrors, in ranges RangeErrors', () => {
  assert.ok(new errors.SOCKETS_ERR_INVALID_ARGUMENT('a', 'b', 'c') instanceof TypeError)
  assert.ok(new errors.SOCKETS_ERR_INVALID_FILTER('a') instanceof TypeError)
  assert.ok(new errors.SOCKETS_ERR_INVALID_CLOSE_CODE(1) instanceof RangeError)
})

for (const value of [Symbol('s'), Object.create(null), 5n, null, undefined, -0]) {
  test(`a wrong argument may be anything: ${typeof value} ${typeof value === 'object' ? '' : String(value)}`, () => {
    assert.match(new errors.SOCKETS_ERR_INVALID_ARGUMENT('x', 'a string', value).message, /^x must be a string, got ./)
    assert.match(new errors.SOCKETS_ERR_INVALID_CLOSE_CODE(value).message, /, got ./)
  })
}
