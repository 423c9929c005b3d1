/**
 * The user's own heartbeat, as in the README of ws, beside ours on the same sockets: both see their pongs, no peer is
 * harmed, and the dead are found by the faster one.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { connectAll, HEALTHY, serve } from './rig.ts'

describe('two heartbeats on one connection', { concurrency: 3 }, () => {
  for (const [how, interval, recipeInterval] of [['as often', 5_000, 5_000], ['less often', 3_000, 7_500], ['more often', 10_000, 4_500]] as const) {
    test(`the user's own, which pings ${how}, harms no peer, and both see pongs`, async (t) => {
      // The user's own has no mercy with a process that gets no CPU for one interval: these are long.
      const server = await serve(t, { watch: 'both', interval, maxMissed: 2, recipeInterval })
      const started = performance.now()
      const clients = await connectAll(t, server, 50)
      await server.beats(300)
      const { groups, pings } = await server.report()
      const { open, killed, pongs, rtt } = groups[HEALTHY]!
      t.diagnostic(`killed ${killed} of 50; ${pings} pings, ${pongs} pongs; rtt ${rtt.join('…')} ms`)
      assert.equal(killed, 0)
      assert.equal(open, 50)
      assert.equal((await clients.report()).open, 50)
      assert.ok(pongs > 50)
      const [least, greatest] = rtt
      // A peer that is heard often enough is never pinged by ours. Otherwise: no more time than there was.
      if (how !== 'more often') assert.ok(least >= 0 && greatest < performance.now() - started, `rtt ${rtt.join('…')} ms`)
      await server.end()
    })
  }

  test('frozen peers are found, and the healthy ones stay', async (t) => {
    const server = await serve(t, { watch: 'both', interval: 400, maxMissed: 2, recipeInterval: 1_000 })
    const [, frozen] = await Promise.all([connectAll(t, server, 30), connectAll(t, server, 20, 'frozen')])
    frozen.freeze()
    await server.ended('frozen', 20)
    await server.intervals(6)
    const { groups } = await server.report()
    t.diagnostic(`found ${JSON.stringify(groups.frozen!.causes)}; healthy killed: ${groups[HEALTHY]!.killed}`)
    assert.equal(groups.frozen!.killed, 20)
    assert.equal(groups[HEALTHY]!.open, 30)
    await server.end()
  })
})
