/**
 * Picks the rows of one page of a table out of many items, in slices, so that no walk holds the event loop.
 *
 * Nothing is sorted: the walk keeps the rows that are next behind a place in the order, so that a page costs the same wherever it is,
 * and rows that come and go shift no page.
 */
import { inSlices } from '../../base/clock.ts'
import type { Clock } from '../../base/clock.ts'

/** Most rows of a page. */
export const MAX_ROWS = 50

/** A place in an order: the key of a row, and its id among rows with the same key. */
export interface Place {
  readonly key: string | number
  readonly id: number
}

/** Longest run of work in one turn of the event loop, milliseconds. */
const SLICE = 1

/** What to pick. */
export interface Selection<T> {
  matches (item: T): boolean
  key (item: T): string | number
  readonly descending: boolean
  /** Pick what comes next behind this place; undefined: from the start. */
  readonly after?: Place | undefined
  /** Pick what comes last before this place. */
  readonly before?: Place | undefined
}

/** A page of rows. */
export interface Picked<T> {
  readonly rows: readonly T[]
  /** Number of items that match. */
  readonly total: number
  /** Position of the first row among them, from 1. */
  readonly first: number
  /** The places of the first and of the last row, where there is a page before and behind them. */
  readonly previous: Place | undefined
  readonly next: Place | undefined
}

interface Row<T> extends Place {
  readonly item: T
}

/** Picks a page of rows. The walk shares no turn with what is done before it and after it, such as the writing of the rows. */
export async function pick<T extends { readonly id: number }> (clock: Clock, items: readonly T[], selection: Selection<T>): Promise<Picked<T>> {
  const { before, after } = selection
  // A page before a place is one behind it in the other direction.
  const direction = selection.descending === (before === undefined) ? -1 : 1
  const start = before ?? after
  const rows: Array<Row<T>> = []
  let total = 0
  let passed = 0
  await turn(clock)
  await new Promise<void>((resolve) => {
    inSlices(clock, items, (item) => {
      if (!selection.matches(item)) return
      total++
      const row: Row<T> = { key: selection.key(item), id: item.id, item }
      if (start !== undefined && direction * compare(row, start) <= 0) passed++
      else insert(rows, row, direction)
    }, resolve, () => SLICE)
  })
  await turn(clock)
  if (before !== undefined) rows.reverse()
  const first = (before === undefined ? passed : total - passed - rows.length) + 1
  return {
    rows: rows.map(({ item }) => item),
    total,
    first,
    previous: first > 1 && rows.length > 0 ? rows[0] : undefined,
    next: first + rows.length <= total ? rows.at(-1) : undefined
  }
}

function turn (clock: Clock): Promise<void> { return new Promise((resolve) => { clock.setImmediate(resolve) }) }

/** Adds a row to sorted rows, of which the first MAX_ROWS are kept. */
function insert<T> (rows: Array<Row<T>>, row: Row<T>, direction: number): void {
  if (rows.length === MAX_ROWS) {
    if (direction * compare(row, rows[MAX_ROWS - 1]!) > 0) return
    rows.pop()
  }
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (direction * compare(rows[middle]!, row) < 0) low = middle + 1
    else high = middle
  }
  rows.splice(low, 0, row)
}

function compare (a: Place, b: Place): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1
  return a.id - b.id
}
