import assert from 'node:assert/strict'
import test from 'node:test'
import { atMost } from '../../lib/base/clock.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

/** How long it was waited for a promise that settles after some time, or never. */
async function waited (settle: (clock: FakeClock) => Promise<unknown>): Promise<{ after: number, timers: number }> {
  const clock = new FakeClock()
  const start = clock.now()
  let after = -1
  void atMost(clock, settle(clock), 500).then(() => { after = clock.now() - start })
  await clock.run(2_000)
  return { after, timers: clock.pendingTimers }
}

test('a wait ends when its promise settles, either way, or when its time is over', async () => {
  const later = (clock: FakeClock, end: (resolve: (value?: unknown) => void, reject: (error: Error) => void) => void) =>
    new Promise((resolve, reject) => { clock.setTimeout(() => { end(resolve, reject) }, 100) })
  assert.deepEqual(await waited((clock) => later(clock, (resolve) => { resolve() })), { after: 100, timers: 0 })
  assert.deepEqual(await waited((clock) => later(clock, (_resolve, reject) => { reject(new Error('no')) })), { after: 100, timers: 0 })
  assert.deepEqual(await waited(() => new Promise(() => {})), { after: 500, timers: 0 })
  assert.deepEqual(await waited(() => Promise.resolve()), { after: 0, timers: 0 })
})
