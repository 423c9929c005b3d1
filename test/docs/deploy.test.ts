/**
 * docs/guides/deploy.md: its numbers are those of `plan()`, and its manifest agrees with the options beside it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { resolveOptions } from '../../lib/options/resolve.ts'
import { withForecasts } from '../../lib/drain/forecast.ts'
import { readDocument, tables } from './markdown.ts'
import type { Row } from './markdown.ts'

const document = readDocument('docs/guides/deploy.md')

/** `60,000` → 60000; `–` and the like → undefined */
function numberIn (cell: string | undefined): number | undefined {
  const digits = /\d[\d,]*/.exec(cell ?? '')?.[0]
  return digits === undefined ? undefined : Number(digits.replaceAll(',', ''))
}

function planFor (row: Row) {
  const [terminationGracePeriod, preStop, reserve, settleDelay, spread] =
    ['terminationGracePeriod', 'preStop', 'reserve', 'settleDelay', 'spread'].map((name) => numberIn(row[name]))
  return resolveOptions({ drain: { terminationGracePeriod, preStop, reserve, settleDelay, spread } as never }).plan
}

test('the worked numbers of docs/guides/deploy.md are what plan() gives', () => {
  const rows = tables(document, 'terminationGracePeriod', 'timeout', 'for work', 'for frames', 'for answers', 'for cleanups')
  assert.ok(rows.length >= 5)
  for (const row of rows) {
    const { timeout, grace, spread, closeTimeout, cleanupReserve } = planFor(row)
    const said = ['timeout', 'for work', 'for frames', 'for answers', 'for cleanups'].map((name) => numberIn(row[name]))
    assert.deepEqual(said, [timeout, grace, spread, closeTimeout, cleanupReserve], JSON.stringify(row))
  }
})

test('when the clients of docs/guides/deploy.md are back is what plan() says', () => {
  const rows = tables(document, 'clients', 'terminationGracePeriod', 'last back after', 'told to wait', 'longest wait')
  assert.ok(rows.length >= 6)
  for (const row of rows) {
    const { plan, drain } = resolveOptions({ drain: { terminationGracePeriod: numberIn(row.terminationGracePeriod) } as never })
    const { lastBack, delayed, longestDelay } = withForecasts({ plan, ...drain }, numberIn(row.clients)!, []).clients[0]!
    assert.deepEqual(['last back after', 'told to wait', 'longest wait'].map((name) => numberIn(row[name])), [lastBack, delayed, longestDelay], JSON.stringify(row))
  }
})

test('the manifest of docs/guides/deploy.md and the options beside it agree', () => {
  const manifest = document.blocks.find(({ language, text }) => language === 'yaml' && text.includes('kind: Deployment'))!.text
  const options = document.blocks.filter(({ language }) => language === 'js' || language === 'ts').map(({ text }) => text)
    .find((text) => text.includes('terminationGracePeriod') && text.includes('preStop') && text.includes('readiness'))!
  const seconds = (pattern: RegExp) => numberIn(pattern.exec(manifest)?.[1])
  const milliseconds = (name: string) => Number(new RegExp(`${name}: ([\\d_]+)`).exec(options)![1]!.replaceAll('_', ''))
  assert.equal(milliseconds('terminationGracePeriod'), seconds(/terminationGracePeriodSeconds: (\d+)/)! * 1000)
  assert.equal(milliseconds('preStop'), seconds(/preStop:\s+sleep:\s+seconds: (\d+)/)! * 1000)
  const path = /readiness: '([^']+)'/.exec(options)![1]!
  assert.ok(manifest.includes(`path: ${path}`), path)
})
