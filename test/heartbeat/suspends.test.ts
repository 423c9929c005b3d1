/**
 * Processes that were stopped and go on, and clocks that jump: a laptop that was closed, a container that was frozen, a
 * machine that was moved. No healthy peer is killed for it.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compare, connectAll, HEALTHY, serve } from './rig.ts'

const HOUR = 3_600_000

describe('when processes were stopped', { concurrency: 4 }, () => {
  test('after SIGSTOP and SIGCONT of the server no peer is killed; the recipe kills peers', async (t) => {
    const { ours, recipe } = await compare(t, (server) => server.stopped(2_500))
    assert.equal(ours.killed, 0)
    assert.ok(recipe.killed > 0)
  })

  test('after SIGSTOP of both ends, the peers back more than an interval later, no peer is killed; the recipe kills peers', async (t) => {
    const { ours, recipe } = await compare(t, async (server, clients) => {
      await server.stopped(2_000, async () => { clients.freeze() })
      await server.intervals(1.2)
      clients.thaw()
    }, { interval: 1_200 })
    assert.equal(ours.killed, 0)
    assert.ok(recipe.killed > 0)
  })

  test('after jumps of the wall clock no peer is killed', async (t) => {
    const server = await serve(t, { watch: 'plugin', interval: 800, maxMissed: 2 })
    await connectAll(t, server, 100)
    for (const by of [HOUR, -24 * HOUR, 48 * HOUR]) await server.do({ do: 'jump', by })
    const { pings } = await server.report()
    await server.intervals(6)
    const { killed, open } = await server.group(HEALTHY)
    assert.deepEqual({ killed, open }, { killed: 0, open: 100 })
    assert.ok((await server.report()).pings > pings, 'the heartbeat has stopped')
    await server.end()
  })

  test('a machine that slept asks its peers anew: those that need as long again are not killed; without the sleep they are, and the recipe kills them too', async (t) => {
    // The monotonic clock stands still while a machine sleeps, the wall clock does not: that is how it is told.
    const freeze = async (watch: 'plugin' | 'recipe') => {
      const server = await serve(t, { watch, interval: 400, maxMissed: 4 })
      const clients = await connectAll(t, server, 50)
      await server.intervals(1)
      clients.freeze()
      await server.beats(0)
      return { server, clients }
    }
    const control = await freeze('plugin')
    await control.server.ended(HEALTHY, 50)
    const { killed: withoutSleep, beats } = await control.server.group(HEALTHY)
    control.clients.thaw()
    await control.server.end()

    const killed = await Promise.all((['plugin', 'recipe'] as const).map(async (watch) => {
      const { server, clients } = await freeze(watch)
      await server.beats(Math.ceil(beats / 2))
      await server.do({ do: 'jump', by: HOUR, now: true })
      await server.beats(Math.ceil(beats / 2))
      clients.thaw()
      await server.intervals(6)
      const { killed } = await server.group(HEALTHY)
      await server.end()
      return killed
    }))
    t.diagnostic(`killed, of 50: ours ${killed[0]}, ours without the sleep ${withoutSleep}, recipe ${killed[1]}`)
    assert.deepEqual([withoutSleep, ...killed], [50, 0, 50])
  })
})
