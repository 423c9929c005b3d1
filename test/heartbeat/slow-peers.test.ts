/**
 * Peers that are slow, and sockets that cannot show a pong: no peer is killed while it lives. The recipe of the ws
 * README, which allows one interval for a pong and nothing else, kills them.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compare, HEALTHY, serve } from './rig.ts'

const MEBIBYTE = 1_048_576

describe('slow peers', { concurrency: 2 }, () => {
  test('pongs of 500 peers that all come more than two intervals late kill no peer; the recipe kills peers', async (t) => {
    const { ours, recipe } = await compare(t, async (server, clients) => {
      await clients.do({ do: 'hold' })
      await server.intervals(2.2)
      await clients.do({ do: 'release' })
    // Peers that get little CPU have time to answer: a bound is not what is looked at here.
    }, { count: 500, interval: 1_000, maxMissed: 15, allowances: 1 })
    assert.equal(ours.killed, 0)
    assert.equal(recipe.killed, 500)
  })

  test('a peer that is busy with a large message, slowly but steadily, is not killed; the recipe kills it', async (t) => {
    const { ours, recipe } = await compare(t, async (server, clients) => {
      await clients.do({ do: 'throttle', bytes: MEBIBYTE / 4 })
      await server.do({ do: 'send', group: HEALTHY, bytes: 96 * MEBIBYTE })
      // The recipe may have killed it before the message was sent.
      if (server.spec.watch === 'recipe') return
      assert.ok((await server.group(HEALTHY)).buffered > 0, 'the kernel has taken all of it at once')
      await clients.do({ do: 'received', messages: 1 })
    }, { count: 1, maxMissed: 10, allowances: 1 })
    assert.equal(ours.killed, 0)
    assert.equal(recipe.killed, 1)
  })

  test('peers whose socket the application has paused are not killed; the recipe kills them', async (t) => {
    const { ours, recipe } = await compare(t, async (server, clients) => {
      await server.do({ do: 'pause', group: HEALTHY })
      await clients.do({ do: 'send' })
      await server.intervals(9)
      await server.do({ do: 'resume', group: HEALTHY })
    })
    assert.equal(ours.killed, 0)
    assert.equal(recipe.killed, 100)
  })

  test('streams of injectWS, whose client answers no ping, are not killed; the recipe kills them', async (t) => {
    const killed = await Promise.all((['plugin', 'recipe'] as const).map(async (watch) => {
      const server = await serve(t, { watch, interval: 500, maxMissed: 2 })
      await server.do({ do: 'inject', group: HEALTHY, count: 20 })
      await server.intervals(9)
      const { killed, open } = await server.group(HEALTHY)
      assert.equal(killed + open, 20)
      if (watch === 'plugin') await server.end()
      return killed
    }))
    t.diagnostic(`streams killed, of 20: ours ${killed[0]}, recipe ${killed[1]}`)
    assert.deepEqual(killed, [0, 20])
  })
})
