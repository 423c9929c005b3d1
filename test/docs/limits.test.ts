// The arithmetic of docs/explanation/limits.md: its tables against the policies they describe.
import assert from 'node:assert/strict'
import test from 'node:test'
import { POLICIES } from '../../lib/track/observation.ts'
import { resolveOptions } from '../../lib/options/resolve.ts'
import { ceiling } from '../../lib/limit/admission-decision.ts'
import { EvictionBudget } from '../../lib/limit/eviction-budget.ts'
import { MessageRate } from '../../lib/limit/message-rate.ts'
import { createClock } from '../../lib/testing/index.ts'
import { readDocument, tables } from './markdown.ts'

const document = readDocument('docs/explanation/limits.md')

/** `10,000` → 10000; `781.3 MiB` → 781.3 */
function numberIn (cell: string | undefined): number {
  return Number(/[\d.,]+/.exec(cell ?? '')![0].replaceAll(',', ''))
}

test('docs/guides/limits.md names every policy that can only observe, and no other', () => {
  const named = tables(readDocument('docs/guides/limits.md'), 'policy', 'what it would do', 'to whom').flatMap((row) => [...row.policy!.matchAll(/`(\w+)`/g)].map(([, name]) => name!))
  assert.deepEqual(named.toSorted(), [...POLICIES].toSorted())
})

test('the ceilings and evictions of docs/explanation/limits.md are those that hold', async () => {
  const rows = tables(document, 'max', 'sockets at most while evicting', 'evictions in a minute at most')
  assert.ok(rows.length >= 5)
  for (const row of rows) {
    const max = numberIn(row.max)
    assert.equal(numberIn(row['sockets at most while evicting']), ceiling(max))
    const clock = createClock()
    const budget = new EvictionBudget(clock)
    let evictions = 0
    for (; budget.has('key', max); evictions++) budget.spend('key')
    assert.equal(numberIn(row['evictions in a minute at most']), evictions)
    await clock.tick(60_000)
    assert.ok(budget.has('key', max), 'the next minute has its own')
  }
})

test('the sums of docs/explanation/limits.md for what slow readers hold are right', () => {
  const rows = tables(document, 'connections', 'maxBufferedBytes', 'largest message sent', 'all of them slow at once')
  assert.ok(rows.length >= 3)
  for (const row of rows) {
    const bytes = numberIn(row.connections) * (numberIn(row.maxBufferedBytes) + numberIn(row['largest message sent']))
    assert.equal(row['all of them slow at once'], `${(bytes / 2 ** 20).toLocaleString('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 })} MiB`)
  }
})

test('the message rates of docs/explanation/limits.md are those of the token bucket', () => {
  const rows = tables(document, 'max', 'timeWindow', 'burst', 'at once', 'then one each', 'in any second', 'in any minute')
  assert.ok(rows.length >= 4)
  for (const row of rows) {
    const options = resolveOptions({ messageRate: { max: numberIn(row.max), timeWindow: numberIn(row.timeWindow), burst: numberIn(row.burst) } })
    const { messageRate } = options.settings
    assert.ok(messageRate)
    let now = 1_000_000
    // As in a policy that only observes: a message above the rate does not count, so that the same client can go on.
    const enforcement = { above: 0, allows () { this.above++; return false } }
    const rate = new MessageRate({ clock: { now: () => now }, enforcement } as never)
    const connection = { state: 'open', settings: { messageRate } }
    const passing = () => {
      const { above } = enforcement
      let passed = 0
      while (rate.received(connection as never) && enforcement.above === above) passed++
      return passed
    }
    const atOnce = passing()
    assert.equal(atOnce, numberIn(row['at once']), JSON.stringify(row))
    assert.equal(enforcement.above, 1)
    let sum = atOnce
    let firstAfter = 0
    for (let at = 1; at <= 60_000; at++) {
      now = 1_000_000 + at
      const passed = passing()
      if (passed > 0) firstAfter ||= at
      sum += passed
      if (at === 1_000) assert.equal(sum, numberIn(row['in any second']), JSON.stringify(row))
    }
    assert.equal(firstAfter, numberIn(row['then one each']), JSON.stringify(row))
    assert.equal(sum, numberIn(row['in any minute']), JSON.stringify(row))
  }
})
