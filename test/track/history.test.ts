/**
 * The history as a page reads it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { CloseRecord } from '../../lib/connection/connection.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { History } from '../../lib/track/history.ts'

/** A history that has got these records, each of an owner of its own. */
function historyOf (records: readonly CloseRecord[], { size = 3, owner = true } = {}): History {
  const history = new History({ size, owner, ip: true })
  for (const record of records) history.add({ owner: `owner ${record.id}`, ip: '192.0.2.1' } as ManagedConnection, record)
  return history
}

const RECORDS = [1, 2, 3, 4, 5].map((id) => ({ id }) as CloseRecord)

test('all records are read without a copy of one, oldest first, with their owners', () => {
  const { entries } = historyOf(RECORDS)
  assert.deepEqual(entries.map(({ id, owner }) => [id, owner]), [[3, 'owner 3'], [4, 'owner 4'], [5, 'owner 5']])
  for (const [i, { record }] of entries.entries()) assert.equal(record, RECORDS[i + 2])
})

test('owners that are not kept are not there, and an empty history has nothing', () => {
  assert.deepEqual(historyOf(RECORDS, { owner: false }).entries.map(({ owner }) => owner), [undefined, undefined, undefined])
  assert.deepEqual([historyOf([]).entries, historyOf(RECORDS, { size: 0 }).entries], [[], []])
})
