import assert from 'node:assert/strict'
import test from 'node:test'
import type { Connection } from '../../lib/connection/connection.ts'
import { matcher } from '../../lib/track/filter.ts'
import type { Filter } from '../../lib/track/filter.ts'

type Keys = Exclude<Filter, 'all'>

const INVALID = { code: 'SOCKETS_ERR_INVALID_FILTER' }

/** A connection as far as filters look at it. */
function connection (given: Partial<Connection> = {}): Connection {
  return { owner: '42', tags: new Set(['lobby', 'vip']), route: '/rooms/:id', state: 'open', id: 7, ...given } as Connection
}

for (const [filter, other] of [
  [{ id: 7 }, { id: 8 }],
  [{ owner: '42' }, { owner: '43' }],
  [{ owner: '42' }, { owner: undefined }],
  [{ tag: 'vip' }, { tags: new Set(['lobby']) }],
  [{ route: '/rooms/:id' }, { route: '/' }],
  [{ state: 'open' }, { state: 'draining' }],
  [{ where: ({ id }: Connection) => id === 7 }, { id: 8 }]
] as Array<[Keys, Partial<Connection>]>) {
  test(`${Object.keys(filter)[0]} selects who has it, not ${JSON.stringify(other)}`, () => {
    assert.equal(matcher(filter)(connection()), true)
    assert.equal(matcher(filter)(connection(other)), false)
  })
}

test('several keys must all hold', () => {
  const matches = matcher({ owner: '42', tag: 'vip', route: '/rooms/:id', state: 'open', where: () => true })
  assert.equal(matches(connection()), true)
  for (const other of [{ owner: '1' }, { tags: new Set<string>() }, { route: '/' }, { state: 'closing' as const }]) assert.equal(matches(connection(other)), false)
})

test('an empty string is a value', () => {
  assert.equal(matcher({ owner: '' })(connection()), false)
  assert.equal(matcher({ owner: '' })(connection({ owner: '' })), true)
})

for (const [what, filter] of [
  ['nothing', undefined],
  ['null', null],
  ['an empty object', {}],
  ['an empty array', []],
  ['an array', ['42']],
  ['a Map', new Map([['owner', '42']])],
  ['another string', 'All'],
  ['an empty string', ''],
  ['true', true],
  ['a function', () => true],
  ['a symbol', Symbol('all')],
  ['an unknown key', { user: '42' }],
  ['an unknown key beside a known one', { owner: '42', tags: ['vip'] }],
  ['inherited keys alone', Object.create({ owner: '42' })],
  ['an owner that is undefined', { owner: undefined }],
  ['a tag that is undefined beside an owner', { owner: '42', tag: undefined }],
  ['a where that is undefined', { where: undefined }],
  ['an owner that is null', { owner: null }],
  ['an owner that is a number', { owner: 42 }],
  ['an id that is a text', { id: '7' }],
  ['an owner that is an array', { owner: ['42'] }],
  ['an owner without a prototype', { owner: Object.create(null) }],
  ['an owner that is a symbol', { owner: Symbol('x') }],
  ['a tag that is an object', { tag: {} }],
  ['a route that is a pattern', { route: /rooms/ }],
  ['an unknown state', { state: 'opened' }],
  ['the state of an inherited name', { state: 'constructor' }],
  ['a where that is no function', { where: true }]
] as Array<[string, unknown]>) {
  test(`invalid: ${what}`, () => {
    assert.throws(() => matcher(filter as Keys), INVALID)
  })
}

test('the message says what was wrong and how to select all', () => {
  assert.throws(() => matcher({ user: 1 } as never), { message: 'invalid filter: unknown key "user", known keys are id, owner, tag, route, state, where; the literal \'all\' selects every connection' })
  assert.throws(() => matcher({ owner: undefined } as never), { message: 'invalid filter: "owner" is undefined; the literal \'all\' selects every connection' })
})

test('a filter that is changed afterwards changes nothing', () => {
  const filter: Filter = { owner: '1' }
  const matches = matcher(filter)
  delete filter.owner
  assert.equal(matches(connection()), false)
})

test('a getter that answers only once does not select all', () => {
  let reads = 0
  const matches = () => matcher({ get owner () { return reads++ === 0 ? '1' : undefined as never } })
  let selected = false
  try { selected = matches()(connection()) } catch {}
  assert.equal(selected, false)
})

test('an async where does not select all: it throws', () => {
  const matches = matcher({ where: (async () => false) as never })
  assert.throws(() => matches(connection()), INVALID)
})
