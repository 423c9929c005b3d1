/**
 * Connections on a fake clock that the heartbeat watches, as the tracker does it.
 */
import assert from 'node:assert/strict'
import type { HeartbeatSettings } from '../../lib/connection/settings.ts'
import { TICK } from '../../lib/base/deadlines.ts'
import { Heartbeats } from '../../lib/watch/heartbeat.ts'
import { createFakeHost } from './fake-host.ts'
import type { FakeHost, Pair } from './fake-host.ts'
import type { FakeClock } from './fake-clock.ts'
import type { FakeSocket, FakeSocketOptions } from './fake-socket.ts'

export interface HeartbeatRig {
  host: FakeHost
  clock: FakeClock
  heartbeats: Heartbeats
  open (options?: Parameters<FakeHost['connect']>[0]): Pair
  crowd (count: number, options?: FakeSocketOptions): Pair[]
}

export function createHeartbeat (heartbeat: HeartbeatSettings | false = { interval: 1_000, maxMissed: 2 }): HeartbeatRig {
  const host = createFakeHost({ settings: { heartbeat } })
  const heartbeats = new Heartbeats(host)
  host.hooks.add(heartbeats, 'closing')
  const open: HeartbeatRig['open'] = (options) => {
    const pair = host.connect(options)
    heartbeats.opened(pair.connection)
    return pair
  }
  return { host, clock: host.clock, heartbeats, open, crowd: (count, options) => Array.from({ length: count }, () => open(options)) }
}

/** Pings that a socket has sent. */
export const pingsOf = (socket: FakeSocket): number => socket.frames.filter(({ type }) => type === 'ping').length

export const isDead = ({ connection, socket }: Pair): boolean => connection.state !== 'open' && connection.state !== 'draining' && socket.destroyed

/** Lets time pass until one is dead; how long that took, or Infinity after ten times the bound. */
export function timeToDeath (clock: FakeClock, pair: Pair, bound: number): number {
  const start = clock.now()
  while (!isDead(pair)) {
    if (clock.now() - start > 10 * bound) return Infinity
    clock.tick(Math.max(1, Math.min(TICK, clock.nextTimerIn)))
  }
  return clock.now() - start
}

/** Lets time pass while something is so; what never ends must fail its test, for no watchdog sees a loop without a turn. */
export function tickWhile (clock: FakeClock, condition: () => boolean): void {
  for (let ticks = 0; condition(); ticks++) {
    assert.ok(ticks < 10_000, 'what was waited for never came')
    clock.tick(TICK)
  }
}
