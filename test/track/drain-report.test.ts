import assert from 'node:assert/strict'
import test from 'node:test'
import { DRAIN_PHASES } from '../../lib/track/drain-report.ts'

test('the phases of a drain stand in their order, the end last', () => {
  assert.deepEqual(DRAIN_PHASES, ['settle', 'notify', 'grace', 'close', 'cleanup', 'done'])
})

test('what connections lean on is described by types alone', async () => {
  assert.deepEqual(Object.keys(await import('../../lib/connection/host.ts')), [])
})
