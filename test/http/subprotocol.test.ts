/**
 * The offer of `lifecycle.v1` in the headers of an upgrade request: it is taken out, the rest stays as it is.
 */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import test from 'node:test'
import { inspect } from 'node:util'
import { offerOf, selectAlone, takeOffer } from '../../lib/http/subprotocol.ts'
import type { Offer } from '../../lib/http/subprotocol.ts'

const ID = 'AAAAAAAAAAAAAAAAAAAA-_'
const OTHER = 'BBBBBBBBBBBBBBBBBBBBBB'

/** A request with these header lines, as Node.js makes it. */
function request (...values: string[]): IncomingMessage {
  const rawHeaders = ['Host', 'localhost', ...values.flatMap((value) => ['Sec-WebSocket-Protocol', value])]
  return { headers: { host: 'localhost', ...(values.length > 0 ? { 'sec-websocket-protocol': values.join(', ') } : {}) }, rawHeaders } as unknown as IncomingMessage
}

/** What is left of the headers, and the offer. */
function taken (...values: string[]): { header: unknown, lines: string[], offer: Offer | undefined } {
  const asks = request(...values)
  takeOffer(asks)
  takeOffer(asks)
  assert.deepEqual(asks.rawHeaders.slice(0, 2), ['Host', 'localhost'])
  return { header: asks.headers['sec-websocket-protocol'], lines: asks.rawHeaders.slice(2).filter((_, i) => i % 2 === 1), offer: offerOf(asks) }
}

const OFFERS: Array<[what: string, values: string[], left: string[], offer: Omit<Offer, 'key'> & Partial<Offer> | undefined]> = [
  ['alone', ['lifecycle.v1'], [], { id: undefined, alone: true }],
  ['alone with an id', [`lifecycle.v1, lifecycle.v1.${ID}`], [], { id: ID, alone: true }],
  ['with a key', [`chat, lifecycle.v1, lifecycle.v1.key.${OTHER}, lifecycle.v1.${ID}`], ['chat'], { id: ID, key: OTHER, alone: false }],
  ['with a key that is too short, and one that is too long', [`lifecycle.v1, lifecycle.v1.key.${OTHER.slice(1)}, lifecycle.v1.key.${OTHER.repeat(3)}`], [], { id: undefined, alone: true }],
  ['after the subprotocols of the application', ['chat, superchat,lifecycle.v1'], ['chat, superchat'], { id: undefined, alone: false }],
  ['before and between them', [`lifecycle.v1, chat, lifecycle.v1.${ID}, superchat`], ['chat, superchat'], { id: ID, alone: false }],
  ['on a line of its own', ['chat', `lifecycle.v1, lifecycle.v1.${ID}`], ['chat'], { id: ID, alone: false }],
  ['twice', ['lifecycle.v1, lifecycle.v1'], [], { id: undefined, alone: true }],
  ['with two ids: the first counts', [`lifecycle.v1.${ID}, lifecycle.v1.${OTHER}, lifecycle.v1`], [], { id: ID, alone: true }],
  ['with an id that is none', ['lifecycle.v1, lifecycle.v1.short'], [], { id: undefined, alone: true }],
  ['an id without the protocol: no offer', [`chat, lifecycle.v1.${ID}`], ['chat'], undefined],
  ['none', ['chat'], ['chat'], undefined],
  ['no header', [], [], undefined],
  ['a longer name', ['lifecycle.v10, xlifecycle.v1'], ['lifecycle.v10, xlifecycle.v1'], undefined],
  ['in capitals, which is another name', ['Lifecycle.v1'], ['Lifecycle.v1'], undefined],
  ['in a malformed header, which stays one', ['chat,,lifecycle.v1'], ['chat, '], { id: undefined, alone: false }],
  ['beside nothing but a comma', ['lifecycle.v1,'], [''], { id: undefined, alone: false }]
]

for (const [what, values, left, offer] of OFFERS) {
  test(`an offer is taken out of the request: ${what}`, () => {
    const found = taken(...values)
    assert.deepEqual(found.lines, left)
    assert.equal(found.header, left.length === 0 ? undefined : left.join(', '))
    assert.deepEqual(found.offer, offer && { key: undefined, ...offer })
  })
}

test('an application that prints the request does not print the id', () => {
  const asks = request('lifecycle.v1, lifecycle.v1.AAAAAAAAAAAAAAAAAAAAAA')
  takeOffer(asks)
  assert.equal(offerOf(asks)?.id, 'AAAAAAAAAAAAAAAAAAAAAA')
  assert.doesNotMatch(inspect(asks, { depth: 10, showHidden: true }), /AAAA/)
})

test('a header that is not text stays as it is', () => {
  const asks = { headers: { 'sec-websocket-protocol': ['lifecycle.v1'] }, rawHeaders: [] } as unknown as IncomingMessage
  takeOffer(asks)
  assert.deepEqual([asks.headers, offerOf(asks)], [{ 'sec-websocket-protocol': ['lifecycle.v1'] }, undefined])
})

test('the answer selects the protocol only where nothing else was offered', () => {
  for (const [values, selected] of [['lifecycle.v1', true], ['chat, lifecycle.v1', false], ['chat', false]] as const) {
    const asks = request(values)
    takeOffer(asks)
    const headers = ['HTTP/1.1 101 Switching Protocols']
    selectAlone(headers, asks)
    assert.deepEqual(headers.slice(1), selected ? ['Sec-WebSocket-Protocol: lifecycle.v1'] : [])
  }
})
