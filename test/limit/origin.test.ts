/**
 * Which pages may open a WebSocket, by their Origin header.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ForeignOrigins, isAllowed } from '../../lib/limit/origin.ts'
import type { AllowedOrigins } from '../../lib/limit/origin.ts'

const allowed = (origins: AllowedOrigins<object>, origin: string | undefined, host = 'example.com') => isAllowed(origins, origin, host, {})

test('who sends no Origin header is no browser and passes', () => {
  for (const origins of ['report', 'same-origin', [], false, () => false] as Array<AllowedOrigins<object>>) assert.equal(allowed(origins, undefined), true)
})

test('false lets every page in', () => {
  for (const origin of ['https://evil.example', 'null', '']) assert.equal(allowed(false, origin), true)
})

const SAME: Array<[origin: string, host: string, same: boolean]> = [
  ['https://example.com', 'example.com', true],
  ['http://example.com', 'example.com', true],
  ['https://EXAMPLE.com', 'Example.COM', true],
  ['https://example.com', 'example.com:443', true],
  ['http://example.com:80', 'example.com', true],
  ['https://example.com:8443', 'example.com:8443', true],
  ['https://example.com:8443', 'example.com', false],
  ['https://[::1]:3000', '[::1]:3000', true],
  ['https://[::1]', '[::1]:3000', false],
  ['https://sub.example.com', 'example.com', false],
  ['https://example.com.evil.example', 'example.com', false],
  ['https://evil-example.com', 'example.com', false],
  ['https://example.com@evil.example', 'example.com', false],
  ['https://evil.example/example.com', 'example.com', false],
  ['null', 'example.com', false],
  ['', 'example.com', false],
  ['', '', false],
  ['example.com', 'example.com', false],
  ['file://', 'example.com', false],
  ['chrome-extension://example.com', 'example.com', false]
]

for (const [origin, host, same] of SAME) {
  test(`"${origin}" is ${same ? 'of' : 'foreign to'} "${host}"`, () => {
    for (const origins of ['same-origin', 'report'] as const) assert.equal(allowed(origins, origin, host), same)
  })
}

test('a list is compared as a whole, in lower case', () => {
  const list = ['https://example.com', 'null', 'https://example.com:8443']
  for (const origin of ['https://example.com', 'HTTPS://Example.com', 'null', 'https://example.com:8443']) assert.equal(allowed(list, origin), true)
  for (const origin of ['http://example.com', 'https://example.com:443', 'https://a.example.com', 'https://example.co', '']) assert.equal(allowed(list, origin), false)
  assert.equal(allowed([], 'https://example.com'), false)
})

test('a function is given origin and request, and only true lets in', () => {
  const calls: unknown[][] = []
  const request = {}
  assert.equal(isAllowed((...args) => calls.push(args) > 0, 'https://a.example', 'example.com', request), true)
  assert.deepEqual(calls, [['https://a.example', request]])
  assert.equal(calls[0]![1], request)
  for (const answer of [false, undefined, null, 1, 'yes', {}]) assert.equal(allowed((() => answer) as never, 'https://a.example'), false)
})

test('a foreign origin is told once, and a hundred of them at most', () => {
  const foreign = new ForeignOrigins()
  assert.deepEqual([foreign.isNew('a'), foreign.isNew('a'), foreign.isNew('b')], [true, false, true])
  let told = 2
  for (let i = 0; i < 1_000; i++) if (foreign.isNew(`origin ${i}`)) told++
  assert.equal(told, 100)
})
