import assert from 'node:assert/strict'
import test from 'node:test'
import { warnAboutBudget, warnAboutHttp2, warnAboutListeners } from '../../lib/show/warnings.ts'
import type { DrainOptions } from '../../lib/options/options.ts'
import { resolveOptions } from '../../lib/options/resolve.ts'
import { createLog } from '../helpers/tracker-rig.ts'

test('a foreign upgrade listener is named, with what can be done', () => {
  const { log, lines } = createLog()
  warnAboutListeners(log, ['anonymous', 'handleUpgrade'])
  assert.deepEqual(lines.map(({ level, fields }) => [level, fields]), [['warn', { listener: 'anonymous' }], ['warn', { listener: 'handleUpgrade' }]])
  assert.match(lines[0]!.message, /app\.sockets\.adopt\(\)/)
})

test('another @fastify/websocket has a warning of its own', () => {
  const { log, messages } = createLog()
  warnAboutListeners(log, ['onUpgrade'])
  assert.match(messages('warn')[0]!, /child context/)
})

test('without foreign listeners there is no warning', () => {
  const { log, lines } = createLog()
  warnAboutListeners(log, [])
  assert.equal(lines.length, 0)
})

const BUDGETS: Array<[what: string, drain: DrainOptions, warning: RegExp | null]> = [
  ['the default', {}, null],
  ['30 s in all', { timeout: 20_000, preStop: 5_000 }, null],
  ['more than 30 s', { timeout: 20_000, preStop: 5_001 }, /preStop 5001 \+ timeout 20000 \+ reserve 5000 = 30001 ms is more than the 30000 ms/],
  ['seconds by mistake', { timeout: 30 }, /timeout 30 ms is too short for a close handshake over a network: durations are milliseconds/],
  ['100 ms', { timeout: 100 }, null],
  ['more than 30 s of a stated grace period', { timeout: 50_000, terminationGracePeriod: 60_000 }, null]
]

for (const [what, drain, warning] of BUDGETS) {
  test(`a budget of ${what} ${warning === null ? 'passes' : 'is warned about with the sum'}`, () => {
    const { log, messages } = createLog()
    warnAboutBudget(log, resolveOptions({ drain }).plan)
    if (warning === null) assert.deepEqual(messages('warn'), [])
    else assert.match(messages('warn')[0]!, warning)
  })
}

test('an HTTP/2 server is told what does not work', () => {
  const { log, messages } = createLog()
  warnAboutHttp2(log)
  assert.match(messages('warn')[0]!, /RFC 8441.*allowHTTP1/)
})
