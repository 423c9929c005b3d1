/**
 * What may be handed over: at most 4,096 bytes of JSON, and nothing of it in an error.
 */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import test from 'node:test'
import { MAX_STATE_BYTES, stateToJson } from '../../lib/move/handover-state.ts'

const SECRET = 'hunter2-is-the-secret'

/** What `stateToJson` throws, with all that a logger could write of it. */
function refusalOf (state: unknown): { code: string, message: string, all: string } {
  try {
    stateToJson(state)
  } catch (error) {
    const { code, message } = error as Error & { code: string }
    return { code, message, all: inspect(error, { depth: 10, showHidden: true }) }
  }
  return assert.fail('the state was taken')
}

for (const [name, state, json] of [
  ['an object', { cursor: 7, rooms: ['a', 'b'], nested: { deep: [null, true, 1.5] } }, '{"cursor":7,"rooms":["a","b"],"nested":{"deep":[null,true,1.5]}}'],
  ['null', null, 'null'],
  ['text', 'x', '"x"'],
  ['a date, by its toJSON', new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ['what JSON leaves out', { a: undefined, b: () => {}, c: NaN }, '{"c":null}'],
  ['half a surrogate pair, which JSON escapes', '\ud83d', '"\\ud83d"'],
  ['a constructor that is text', { constructor: 'Smith', prototype: 'x' }, '{"constructor":"Smith","prototype":"x"}']
] as const) test(`a state may be ${name}`, () => { assert.equal(stateToJson(state), json) })

test('a state of 4,096 bytes is taken, and one byte more is not', () => {
  for (const character of ['a', 'é', '€', '😀']) {
    const bytes = Buffer.byteLength(character)
    const fits = character.repeat(Math.floor((MAX_STATE_BYTES - 2) / bytes))
    const padded = fits + 'x'.repeat(MAX_STATE_BYTES - 2 - Buffer.byteLength(fits))
    assert.equal(Buffer.byteLength(stateToJson(padded)), 4096)
    assert.match(refusalOf(`${padded}x`).message, /at most 4096 bytes of JSON: it is larger$/)
  }
})

test('array indexes do not count, for they are not written', () => {
  const state = Array.from({ length: 2047 }, () => 1)
  assert.equal(stateToJson(state).length, 4095)
})

const circular: Record<string, unknown> = { [SECRET]: SECRET }
circular[SECRET] = { back: circular }

for (const [name, state, message] of [
  ['a cycle', circular, /a cycle/],
  ['a BigInt', { [SECRET]: 5n }, /a BigInt/],
  ['a toJSON that throws', { toJSON () { throw new Error(SECRET) } }, /toJSON method that throws/],
  ['a toJSON that throws what is no error', { a: { toJSON () { throw null } } }, /toJSON method that throws/], // eslint-disable-line no-throw-literal -- that is the point
  ['a getter that throws', { get a () { throw new TypeError(SECRET) } }, /a getter/],
  ['a proxy that throws', new Proxy({}, { ownKeys () { throw new Error(SECRET) } }), /that throws/],
  ['a revoked proxy', (() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return { proxy } })(), /throws/],
  ['a function', () => SECRET, /a function, a symbol/],
  ['a symbol', Symbol(SECRET), /a function, a symbol/],
  ['a toJSON that returns nothing', { toJSON: () => undefined }, /a function, a symbol/],
  ['a key __proto__', JSON.parse(`{"a":{"__proto__":{"${SECRET}":true}}}`), /a key "__proto__"/],
  ['a constructor with a prototype', JSON.parse(`{"constructor":{"prototype":{"${SECRET}":1}}}`), /"constructor" with a "prototype"/],
  ['a key longer than a state', { ['x'.repeat(5000)]: 1 }, /it is larger/],
  ['escapes that make it longer', '\u0001'.repeat(1000), /it is larger/]
] as const) {
  test(`a state may not have ${name}, and the error has nothing of it`, () => {
    const refusal = refusalOf(state)
    assert.equal(refusal.code, 'SOCKETS_ERR_INVALID_HANDOVER')
    assert.match(refusal.message, message)
    assert.ok(!refusal.all.includes(SECRET))
    assert.ok(!('cause' in refusal))
  })
}

test('a state of more levels than the stack has frames is refused', () => {
  let deep: unknown = SECRET
  for (let i = 0; i < 1_000_000; i++) deep = [deep]
  assert.match(refusalOf(deep).message, /it is larger|too many levels/)
})

test('the deepest state that fits can be read again', () => {
  let deep: unknown = 1
  for (let i = 0; i < 2047; i++) deep = [deep]
  assert.deepEqual(JSON.stringify(JSON.parse(stateToJson(deep))), stateToJson(deep))
})

test('a state that is far too large is not written to its end', () => {
  let reads = 0
  const endless: unknown = { get more () { reads++; return endless === undefined ? 0 : Object.defineProperty({}, 'more', { enumerable: true, get: () => { reads++; return { ...(endless as object) } } }) } }
  assert.match(refusalOf(endless).message, /larger|cycle/)
  assert.ok(reads <= MAX_STATE_BYTES, `${reads} reads`)
  const shared = Array.from({ length: 60 }).reduce<unknown>((of) => [of, of], SECRET) // 2⁶⁰ values
  assert.match(refusalOf(shared).message, /larger/)
  assert.match(refusalOf({ text: 'x'.repeat(2 ** 28) }).message, /larger/)
})
