/**
 * The sorted list of ids: finding, removing, closing holes, and a visit during which the list changes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { IdList } from '../../lib/base/id-list.ts'

interface Entry { id: number }

function listOf (...ids: number[]): IdList<Entry> {
  const list = new IdList<Entry>()
  for (const id of ids) list.add({ id })
  return list
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
const idsOf = (list: IdList<Entry>) => list.snapshot().map(({ id }) => id)

function visited (list: IdList<Entry>, from = 0, on: (id: number) => boolean = () => true): number[] {
  const seen: number[] = []
  list.visit(from, ({ id }) => {
    seen.push(id)
    return on(id)
  })
  return seen
}

test('it finds by id, and counts', () => {
  const list = listOf(2, 5, 9)
  assert.deepEqual([list.size, list.get(5)?.id, list.get(4), list.get(10), idsOf(list)], [3, 5, undefined, undefined, [2, 5, 9]])
})

test('removing says whether it was there, once', () => {
  const list = listOf(2, 5, 9)
  assert.deepEqual([list.remove(5), list.remove(5), list.remove(4), list.remove(10), list.size], [true, false, false, false, 2])
  assert.deepEqual([list.get(5), list.get(2)?.id, list.get(9)?.id], [undefined, 2, 9])
})

test('with most removed, in any order, what is left is found', () => {
  const list = listOf(...upTo(1_000))
  for (const id of upTo(1_000)) if (id % 7 !== 0) assert.ok(list.remove((id * 383) % 1_000 || 1_000) || true)
  const left = idsOf(list)
  assert.equal(list.size, left.length)
  for (const id of upTo(1_000)) assert.equal(list.get(id)?.id, left.includes(id) ? id : undefined)
})

test('one that comes late has its place, and a visit under way goes on without it', () => {
  const list = listOf(2, 5, 9)
  list.remove(5)
  for (const id of [7, 1, 10, 4]) list.add({ id })
  assert.deepEqual([list.size, idsOf(list)], [6, [1, 2, 4, 7, 9, 10]])
  assert.deepEqual([list.get(7)?.id, list.remove(4), list.get(4), list.get(5)], [7, true, undefined, undefined])
  const late = listOf(10, 20, 30)
  assert.deepEqual(visited(late, 0, (id) => {
    if (id === 10) for (const added of [15, 5]) late.add({ id: added })
    return true
  }), [10, 20, 30])
  assert.deepEqual(idsOf(late), [5, 10, 15, 20, 30])
})

// ——— visit

test('a visit goes through all, lowest first, and says that it got through', () => {
  const list = listOf(1, 4, 6)
  assert.deepEqual(visited(list), [1, 4, 6])
  assert.equal(list.visit(0, () => true), true)
})

test('a visit of nothing got through', () => {
  assert.equal(listOf().visit(0, () => false), true)
  const list = listOf(3)
  assert.equal(list.visit(3, () => false), true)
  list.remove(3)
  assert.equal(list.visit(0, () => false), true)
})

test('a visit starts above the id it is given, whether that one is there, a hole, or never was', () => {
  const list = listOf(1, 4, 6, 9)
  list.remove(6)
  for (const [from, expected] of [[0, [1, 4, 9]], [1, [4, 9]], [2, [4, 9]], [4, [9]], [5, [9]], [6, [9]], [8, [9]], [9, []], [100, []]] as const) {
    assert.deepEqual(visited(list, from), expected, `above ${from}`)
  }
})

test('a visit that is stopped says so, and the next goes on behind it', () => {
  const list = listOf(...upTo(10))
  assert.equal(list.visit(0, ({ id }) => id < 4), false)
  assert.deepEqual(visited(list, 4, (id) => id < 8), [5, 6, 7, 8])
  assert.deepEqual(visited(list, 8), [9, 10])
  // Also at the very last: the list does not know that it was the last.
  assert.equal(list.visit(9, () => false), false)
})

test('a visit may remove the one it is at', () => {
  const list = listOf(...upTo(100))
  assert.deepEqual(visited(list, 0, (id) => list.remove(id)), upTo(100))
  assert.deepEqual([list.size, idsOf(list)], [0, []])
})

test('one that is removed during a visit before its turn is not visited, while no hole is closed', () => {
  const list = listOf(...upTo(10))
  assert.deepEqual(visited(list, 0, (id) => { list.remove(id + 1); return true }), [1, 3, 5, 7, 9])
})

test('when holes are closed during a visit each entry is visited once', () => {
  for (const count of [32, 33, 64, 100, 257]) {
    const list = listOf(...upTo(count))
    const seen = visited(list, 0, (id) => {
      // At the first, more than half go: the array is made anew under the visit.
      if (id === 1) for (const other of upTo(count)) if (other % 3 !== 0) list.remove(other)
      return true
    })
    const left = upTo(count).filter((id) => id % 3 === 0)
    assert.deepEqual(idsOf(list), left)
    assert.equal(new Set(seen).size, seen.length, 'one came twice')
    assert.deepEqual(seen.filter((id) => left.includes(id)), left)
    assert.deepEqual(seen, [...seen].sort((a, b) => a - b))
  }
})

test('a visit that was stopped goes on after the holes were closed in between', () => {
  const list = listOf(...upTo(100))
  assert.equal(list.visit(0, ({ id }) => id < 40), false)
  for (const id of upTo(100)) if (id % 4 !== 0) list.remove(id)
  assert.deepEqual(visited(list, 40), upTo(100).filter((id) => id > 40 && id % 4 === 0))
})

test('one that is added during a visit is visited, for its id is the highest', () => {
  const list = listOf(1, 2)
  assert.deepEqual(visited(list, 0, (id) => {
    if (id < 5) list.add({ id: id + 2 })
    return true
  }), [1, 2, 3, 4, 5, 6])
})

test('random adds, removals and visits in slices agree with a plain array', () => {
  for (let round = 0; round < 50; round++) {
    const list = new IdList<Entry>()
    let plain: number[] = []
    for (let step = 0, id = 0; step < 300; step++) {
      // A fixed pattern that differs by round; no chance, so that a failure comes again.
      const action = (step * 31 + round * 17) % 11
      if (action < 6) {
        id += 1 + (step % 3)
        list.add({ id })
        plain.push(id)
      } else if (plain.length > 0) {
        const [gone] = plain.splice((step * 7 + round) % plain.length, 1)
        assert.equal(list.remove(gone!), true)
      }
      if (step % 60 === 59) plain = plain.filter((kept) => kept % 5 === 0 || !list.remove(kept))
      const from = (step * 13) % (id + 1)
      assert.deepEqual(visited(list, from), plain.filter((kept) => kept > from), `round ${round}, step ${step}`)
      assert.equal(list.size, plain.length)
    }
  }
})
