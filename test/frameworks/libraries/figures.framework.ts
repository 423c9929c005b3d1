/**
 * The table of docs/guides/no-gap.md: how long client libraries wait, by themselves and over the class, over `ws`. Prints what it
 * measures.
 *
 *   npm run test:frameworks -- libraries/figures
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { WebSocket as Ws } from 'ws'
import { readDocument, tables } from '../../docs/markdown.ts'
import { eventually } from './fake-time.ts'
import { connectWith } from './guide.ts'
import { LIBRARIES } from './libraries.ts'
import type { Library, WebSocketClass } from './library.ts'
import { onStage } from './stage.ts'
import type { Connect } from './stage.ts'

/** Waits that a client of the library makes, milliseconds, where each random number is this one; fewer where it gives up. */
type Measure = (t: TestContext, library: Library, connect: Connect, random: number) => Promise<number[]>

/** The wait after a close. */
const after = (code: number, reason: string): Measure => async (t, library, connect, random) => {
  const waits: number[] = []
  await onStage(t, library, connect, async ({ clock, end, nextAttempt }) => {
    t.mock.method(Math, 'random', () => random)
    const from = clock.now()
    await end(code, reason)
    const attempt = await nextAttempt(120_000)
    if (attempt !== undefined) waits.push(attempt.at - from)
  }, Ws as unknown as WebSocketClass)
  return waits
}

/** Waits while no server is to be reached. */
const unplugged: Measure = async (t, library, connect, random) => {
  const waits: number[] = []
  await onStage(t, library, connect, async ({ clock, unplug, end, nextAttempt }) => {
    t.mock.method(Math, 'random', () => random)
    unplug()
    let from = clock.now()
    await end(1006)
    while (waits.length < 5) {
      const attempt = await nextAttempt(120_000)
      if (attempt === undefined) return
      waits.push(attempt.at - from)
      from = attempt.at
      await eventually(() => attempt.over, 'the attempt to fail')
    }
  }, Ws as unknown as WebSocketClass)
  return waits
}

/** Columns of the table. */
const COLUMNS: ReadonlyArray<[heading: string, measure: Measure]> = [
  ['after `retry=4210`', after(1012, 'service restart; retry=4210')],
  ['after 1008', after(1008, 'too many messages')],
  ['after 4001', after(4001, 'replaced')],
  ['after 1006, five waits without a server', unplugged]
]

/** The table has tenths of a second: what rounding may change, with a little for floating point. */
const ROUNDED = 0.051

/** Waits as the table has them, in seconds: `3`, `1–5`, `2, 4–5, gives up`. */
function rangesIn (cell: string): Array<[shortest: number, longest: number]> {
  return cell.split(', ').filter((text) => text !== 'gives up').map((text) => {
    const [shortest, longest = shortest] = text.split('–').map(Number)
    return [shortest!, longest!]
  })
}

const rows = tables(readDocument('docs/guides/no-gap.md'), 'library', ...COLUMNS.map(([heading]) => heading))
const OVER_THE_CLASS = 'each over the class'

for (const library of LIBRARIES) {
  const guided = await connectWith(library.name)
  for (const [row, connect] of [[library.name, library.byItself], [OVER_THE_CLASS, guided]] as const) {
    for (const [heading, measure] of COLUMNS) {
      test(`${library.name}, row ${row}, ${heading}: the waits are those of the guide`, async (t) => {
        const shortest = await measure(t, library, connect, 0)
        t.mock.restoreAll()
        const longest = await measure(t, library, connect, 0.999)
        const seconds = (waits: number[]) => waits.map((wait) => Math.round(wait / 10) / 100).join(', ') || 'gives up'
        console.log(`${library.name}, row ${row}, ${heading}: ${seconds(shortest)} to ${seconds(longest)}`)

        const cell = rows.find(({ library }) => library === row)![heading]!
        const ranges = rangesIn(cell)
        for (const waits of [shortest, longest]) {
          assert.equal(waits.length, ranges.length, cell)
          for (const [index, wait] of waits.entries()) {
            const [least, most] = ranges[index]!
            assert.ok(wait / 1_000 >= least - ROUNDED && wait / 1_000 <= most + ROUNDED, `${wait} ms: ${cell}`)
          }
        }
        assert.equal(cell.includes('gives up'), ranges.length < (measure === unplugged ? 5 : 1), cell)
      })
    }
  }
}

test('the versions in the guide are those that are installed', () => {
  const { devDependencies } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { devDependencies: Record<string, string> }
  for (const { name } of LIBRARIES) assert.equal(rows.find(({ library }) => library === name)!.version, devDependencies[name])
})
