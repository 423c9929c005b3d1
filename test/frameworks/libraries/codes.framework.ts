/**
 * The table of docs/reference/close-codes.md: which close codes client libraries come back after, by themselves.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { WebSocket as Ws } from 'ws'
import { readDocument, tables } from '../../docs/markdown.ts'
import { LIBRARIES } from './libraries.ts'
import { onStage, OWN } from './stage.ts'

const CODES = [1000, 1001, 1005, 1006, 1008, 1011, 1012, 1013, 3000, 3003, 3008, 4001, 4008] as const
/** Whether a connection that is cut ends with 'error' and then 'close', as Node's own WebSocket does from 24 on. */
const CUT_IS_AN_ERROR = OWN !== Ws as unknown && Number(process.versions.node.split('.')[0]) >= 24
const rows = tables(readDocument('docs/reference/close-codes.md'), 'client', 'reconnects after', ...CODES.map(String))

for (const library of LIBRARIES) {
  for (const code of CODES) {
    test(`${library.name} after ${code}: as the reference says`, (t) => onStage(t, library, library.byItself, async ({ end, nextAttempt }) => {
      const row = rows.find(({ client }) => client!.startsWith(`${library.name} `))!
      await end(code, 'service restart; retry=4210')
      const back = await nextAttempt(60_000) !== undefined
      const [mark, note] = row[String(code)]!.split(' ')
      assert.equal(mark === '↻' && !(note === '(a)' && CUT_IS_AN_ERROR), back, `it ${back ? 'came' : 'did not come'} back: ${row[String(code)]}`)
    }))
  }
}
