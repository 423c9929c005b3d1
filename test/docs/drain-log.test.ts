/**
 * The excerpt of a drain's log in docs/guides/deploy.md has the form that the log has.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { drainLog, EXCERPT, formOf } from './drain-log.ts'
import { ROOT } from './markdown.ts'

test('docs/guides/deploy.md shows the log of a drain as it is; npm run drain-log writes it', async () => {
  const shown = EXCERPT.exec(readFileSync(join(ROOT, 'docs/guides/deploy.md'), 'utf8'))
  assert.ok(shown)
  const log = await drainLog()
  assert.equal(formOf(shown[0]), formOf(shown[0].replace(EXCERPT, (_all, before: string, after: string) => before + log + after)))
  // Every duration is a whole number of milliseconds.
  assert.doesNotMatch(log.replace(/^\[[^\]]*\]/gm, ''), /\d\.\d/)
})
