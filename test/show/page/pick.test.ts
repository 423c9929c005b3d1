/**
 * A page of rows out of many: the same as sorting all and cutting, whatever comes and goes between two pages.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { MAX_ROWS, pick } from '../../../lib/show/page/pick.ts'
import type { Picked, Place, Selection } from '../../../lib/show/page/pick.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'

interface Item { id: number, key: number | string }

async function select (items: Item[], selection: Partial<Selection<Item>> = {}): Promise<Picked<Item>> {
  const clock = new FakeClock()
  const picked = pick(clock, items, { matches: () => true, key: ({ key }) => key, descending: false, ...selection })
  await clock.flush()
  return await picked
}

function sorted (items: Item[], descending: boolean): number[] {
  const order = items.toSorted((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : a.id - b.id)
  return (descending ? order.reverse() : order).map(({ id }) => id)
}

const someItems = fc.oneof(fc.array(fc.nat(20), { maxLength: 300 }), fc.array(fc.string({ maxLength: 1 }), { maxLength: 300 }))
  .map((keys: Array<number | string>) => keys.map((key, index) => ({ id: index + 1, key })))

test('pages that follow each other are all rows in order, forwards and backwards', async () => {
  await fc.assert(fc.asyncProperty(someItems, fc.boolean(), async (items, descending) => {
    const expected = sorted(items, descending)
    const seen: number[] = []
    let place: Place | undefined
    let last: Place | undefined
    for (let first = 1; ; first += MAX_ROWS) {
      const page = await select(items, { descending, after: place })
      assert.equal(page.total, items.length)
      assert.equal(page.first, first)
      assert.equal(page.previous === undefined, first === 1)
      seen.push(...page.rows.map(({ id }) => id))
      last = page.previous
      if (page.next === undefined) break
      place = page.next
    }
    assert.deepEqual(seen, expected)
    for (let end = seen.length - (seen.length % MAX_ROWS || MAX_ROWS); last !== undefined; end -= MAX_ROWS) {
      const page = await select(items, { descending, before: last })
      assert.deepEqual(page.rows.map(({ id }) => id), expected.slice(end - MAX_ROWS, end))
      assert.equal(page.first, end - MAX_ROWS + 1)
      last = page.previous
    }
  }), { numRuns: 50 })
})

test('only items that match are counted and shown', async () => {
  const items = Array.from({ length: 120 }, (_, index) => ({ id: index + 1, key: index }))
  const page = await select(items, { matches: ({ id }) => id % 2 === 0 })
  assert.equal(page.total, 60)
  assert.deepEqual(page.rows.map(({ id }) => id), Array.from({ length: MAX_ROWS }, (_, index) => (index + 1) * 2))
})

test('rows that have gone between two pages move no other row to another page', async () => {
  const items = Array.from({ length: 120 }, (_, index) => ({ id: index + 1, key: index }))
  const { next } = await select(items)
  const page = await select(items.slice(MAX_ROWS), { after: next })
  assert.equal(page.rows[0]!.id, MAX_ROWS + 1)
})

test('a page before the first row is empty and leads to no other', async () => {
  const page = await select([{ id: 1, key: 'a' }], { before: { key: 'a', id: 1 } })
  assert.deepEqual({ rows: page.rows, previous: page.previous, total: page.total }, { rows: [], previous: undefined, total: 1 })
})

test('many items are walked in slices of 1 ms, in turns of their own', async () => {
  const clock = new FakeClock()
  const items = Array.from({ length: 100 }, (_, index) => ({ id: index + 1, key: index }))
  const picked = pick(clock, items, {
    descending: false,
    key: ({ key }) => key,
    matches: () => {
      clock.stall(1)
      return true
    }
  })
  await clock.run()
  assert.equal((await picked).total, 100)
  assert.equal(clock.immediatesMade, 1 + 99 + 1)
})
