/**
 * The event loop stood still: no healthy peer is killed for it, and the dead are found all the same. The recipe of the
 * ws README, under the same stalls, kills peers: pongs wait unread while its timer is due again.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertFoundInTime, compare, connectAll, HEALTHY, serve } from './rig.ts'

describe('when the event loop stood still', { concurrency: 4 }, () => {
  test('for 3 s, shorter than the allowance, no peer is killed; the recipe kills peers', async (t) => {
    const { ours, recipe } = await compare(t, (server) => server.do({ do: 'stall', time: 3_000, times: 1 }), { interval: 1_250, allowances: 1 })
    assert.equal(ours.killed, 0)
    assert.ok(recipe.killed > 0)
  })

  test('for longer than the whole allowance, no peer is killed; the recipe kills peers', async (t) => {
    const { ours, recipe } = await compare(t, (server) => server.do({ do: 'stall', time: 3_000, times: 1 }), { interval: 400 })
    assert.equal(ours.killed, 0)
    assert.ok(recipe.killed > 0)
  })

  test('in stall after stall, each longer than an interval, no peer is killed; the recipe kills peers', async (t) => {
    const { ours, recipe } = await compare(t, (server) => server.do({ do: 'stall', time: 700, times: 8 }), { interval: 500, maxMissed: 1 })
    assert.equal(ours.killed, 0)
    assert.ok(recipe.killed > 0)
  })

  test('with frozen peers among healthy ones, all of the former are found and none of the latter is killed; the recipe kills both', async (t) => {
    const killed = await Promise.all((['plugin', 'recipe'] as const).map(async (watch) => {
      const server = await serve(t, { watch, interval: 500, maxMissed: 2 })
      const [, frozen] = await Promise.all([connectAll(t, server, 60), connectAll(t, server, 40, 'frozen')])
      frozen.freeze()
      // More than once: in one stall the recipe may have read the answers before.
      await server.do({ do: 'stall', time: 1_500, times: 4 })
      await server.ended('frozen', 40)
      const found = await server.group('frozen')
      if (watch === 'plugin') assertFoundInTime(server, found)
      await server.intervals(6)
      const { killed } = await server.group(HEALTHY)
      await server.end()
      return { frozen: found.killed, healthy: killed }
    }))
    t.diagnostic(`killed: ours ${JSON.stringify(killed[0])}, recipe ${JSON.stringify(killed[1])}`)
    const [ours, recipe] = killed
    assert.deepEqual(ours, { frozen: 40, healthy: 0 })
    assert.ok(recipe!.healthy > 0)
  })
})
