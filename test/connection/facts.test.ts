/**
 * What connections and records keep of texts that a client has chosen.
 */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyRequest } from 'fastify'
import { ownText, recordedRequestId, recordedRoute } from '../../lib/connection/facts.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { foreignFacts } from '../../lib/handshake/routes.ts'
import { labelsOf } from '../../lib/track/history.ts'
import { addressOf, takeAddress } from '../../lib/ws/released-memory.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const requestFrom = (ip: string | undefined): FastifyRequest => ({ raw: { socket: {} }, ip }) as never

/** A part of a text of 12 KB, as a parser makes it. */
function partOf (large: number): string {
  return Buffer.alloc(12_000, `203.0.113.${large}?padding-`, 'latin1').toString('latin1').slice(0, 14)
}

const KEPT: Array<[what: string, keep: (large: number) => unknown]> = [
  ['the path of an adopted server', (large) => foreignFacts({ url: Buffer.alloc(12_000, `/adopted/server/${large}?padding`, 'latin1').toString('latin1') } as IncomingMessage).route],
  ['an address out of X-Forwarded-For', (large) => takeAddress(requestFrom(partOf(large)))],
  ['an owner in the history', (large) => labelsOf({ owner: partOf(large) } as ManagedConnection, { size: 1, owner: true, ip: false }).owner]
]

for (const [what, keep] of KEPT) {
  test(`${what} keeps nothing of the text that it is a part of`, () => {
    const used = () => {
      collect()
      return process.memoryUsage().heapUsed
    }
    const before = used()
    const kept = Array.from({ length: 500 }, (_, large) => keep(large))
    const grown = used() - before
    assert.ok(grown < 1_000_000, `${grown} bytes for ${kept.length}`)
  })
}

test('texts are cut to what records have, and are otherwise as they were', () => {
  assert.equal(recordedRoute('/é'.repeat(200)), '/é'.repeat(128))
  assert.equal(recordedRequestId('€'.repeat(200)), '€'.repeat(128))
  assert.equal(addressOf(requestFrom('::1, '.repeat(200)))!.length, 64)
  for (const text of ['', 'ann', 'é', '€', '\ud800 half a pair', 'fe80::1%eth0']) assert.equal(ownText(text), text)
})

test('a client whose TCP connection has ended has no address', () => {
  assert.equal(addressOf(requestFrom(undefined)), undefined)
  assert.equal(takeAddress(requestFrom(undefined)), undefined)
})
