/**
 * Faults of a fleet that take too long for a test, on a real Redis:
 * `node --import ./scripts/typescript.js test/process/fleet-faults.ts [frozen] [churn]`, by default both.
 *
 *   frozen   Redis is stopped by SIGSTOP for 30 s
 *   churn    200 nodes a minute come and go, for five minutes
 *
 *   --seconds N   for so long instead
 *
 * Three nodes in processes of their own have clients meanwhile. After each fault: no client has lost its connection, all nodes know
 * each other again, and after what time; no event was told falsely or twice. At the end all nodes leave, and nothing is left in Redis.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { missing } from '../helpers/optional.ts'
import { launchRedis } from '../helpers/redis.ts'
import type { RedisServer } from '../helpers/redis.ts'
import { Scope } from '../helpers/scope.ts'
import { assertTold, churn } from './fleet-churn.ts'
import { agreed, assertConnected, assertNotGone, down, FleetProcess } from './fleet-processes.ts'

/** Time between two nodes that come, and for which each stays: longer than two beats, so that all others see it. Milliseconds. */
const EVERY = 300
const STAY = 5_000
/** Owners of a node that has left are expected back for so long; with some beats. Milliseconds. */
const AWAY = 22_000

const FAULTS: Record<string, { seconds: number, run (server: RedisServer, nodes: FleetProcess[], seconds: number): Promise<void> }> = {
  frozen: {
    seconds: 30,
    async run (server, nodes, seconds) {
      server.freeze()
      await down(nodes)
      await sleep(seconds * 1_000)
      await assertConnected(nodes)
      server.thaw()
      await timeAgreed(nodes)
      await assertNotGone(nodes)
    }
  },
  churn: {
    seconds: 300,
    async run (server, nodes, seconds) {
      const { ids, owners, events } = await churn(server.options, { nodes: Math.round(seconds * 1_000 / EVERY), every: EVERY, stay: STAY })
      await timeAgreed(nodes)
      await sleep(AWAY)
      const told = await Promise.all(nodes.map((node) => node.events()))
      const gone = Math.max(...told.map((heard) => assertTold(ids, heard)))
      const all = [...events, ...told.flat()]
      const times = (event: string) => all.filter((other) => other === event).length
      const missed = owners.filter((owner) => times(`online ${owner}`) !== 1 || times(`offline ${owner}`) !== 1)
      console.log(`  ${ids.length} nodes have joined and left, each told once to all; the machine was too busy for ${gone} of them to say so; ${owners.length - missed.length} owners were told online once and offline once`)
      assert.deepEqual(missed.map((owner) => [owner, times(`online ${owner}`), times(`offline ${owner}`)]), [])
      assert.equal(times('offline shared'), 0)
      const stray = [...(await server.keys()).keys()].filter((key) => ids.some((id) => key.endsWith(id)))
      assert.deepEqual(stray, [])
    }
  }
}

async function timeAgreed (nodes: FleetProcess[]): Promise<void> {
  const startedAt = performance.now()
  await agreed(nodes)
  console.log(`  all nodes know each other after ${((performance.now() - startedAt) / 1_000).toFixed(1)} s (two beats: 4 s)`)
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { seconds: { type: 'string' } } })
const names = positionals.length === 0 ? Object.keys(FAULTS) : positionals
const absent = missing('redis')
if (absent !== false || names.some((name) => !(name in FAULTS))) {
  console.error(absent === false ? `usage: fleet-faults.ts [${Object.keys(FAULTS).join('] [')}] [--seconds N]` : absent)
  process.exit(2)
}

const scope = new Scope()
try {
  const server = await launchRedis()
  scope.after(() => server.close())
  const nodes = await Promise.all(Array.from({ length: 3 }, () => FleetProcess.start(scope, { redis: server.options })))
  for (const node of nodes) await node.connect()
  for (const name of names) {
    await agreed(nodes)
    for (const node of nodes) await node.events()
    const { seconds, run } = FAULTS[name]!
    const lasts = values.seconds === undefined ? seconds : Number(values.seconds)
    console.log(`${name}, ${lasts} s`)
    await run(server, nodes, lasts)
    await assertConnected(nodes)
    console.log(`  no connection was lost, of ${nodes.reduce((sum, { clients }) => sum + clients.length, 0)}`)
  }
  for (const node of nodes) await node.leave()
  const keys = await server.keys()
  const longest = Math.max(0, ...keys.values())
  console.log(`all nodes have left: keys ${[...keys.keys()].join(', ') || 'none'}; the last ends in ${Math.round(longest / 1_000)} s`)
  assert.ok([...keys.values()].every((ttl) => ttl >= 0))
} finally {
  await scope.end()
}
