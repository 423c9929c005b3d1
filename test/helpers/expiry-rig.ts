/**
 * Connections on a fake clock whose ends are watched, as the tracker does it.
 */
import assert from 'node:assert/strict'
import { TICK } from '../../lib/base/deadlines.ts'
import type { Settings } from '../../lib/connection/settings.ts'
import { Expiry } from '../../lib/watch/expiry.ts'
import { createFakeHost } from './fake-host.ts'
import type { FakeHost, Pair } from './fake-host.ts'
import type { FakeClock } from './fake-clock.ts'

/** Longest time until a connection counts as living for ever. */
const FOREVER = 6_000_000

export interface EndsRig {
  host: FakeHost
  clock: FakeClock
  open (options?: Parameters<FakeHost['connect']>[0]): Pair
  /** Asserts that one starts to close this long from now, and two ticks later at most. */
  assertLives (pair: Pair, expected: number): void
}

/** `chance` is what `random` answers; grace is 3 s, the shortest reconnect delay 1 s. */
export function createEnds (settings: Partial<Settings> = {}, chance: number | (() => number) = 0): EndsRig {
  const random = typeof chance === 'function' ? chance : () => chance
  const host = createFakeHost({ settings })
  const { clock, deadlines, enforcement, mover } = host
  const expiry = new Expiry({ clock, deadlines, enforcement, mover, random, grace: 3_000, minDelay: 1_000 })
  host.hooks.add(expiry, 'opened', 'lifetimeSet', 'closing')
  return {
    host,
    clock,
    open (options) {
      const pair = host.connect({ peer: 'answers', ...options })
      expiry.opened(pair.connection)
      return pair
    },
    assertLives ({ connection }, expected) {
      const start = clock.now()
      while (connection.state === 'open') {
        assert.ok(clock.now() - start < FOREVER && clock.pendingTimers > 0, 'it lives for ever')
        clock.tick(clock.nextTimerIn)
      }
      const lived = clock.now() - start
      assert.ok(lived >= expected && lived <= expected + 2 * TICK, `lived ${lived} ms instead of ${expected}`)
    }
  }
}
