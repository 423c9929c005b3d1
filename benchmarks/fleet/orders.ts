/**
 * Orders across an outage: one node disconnects owners on all nodes, while Redis is killed and started again, empty. Their clients come
 * back at once, so that an order that is carried out twice closes a second connection.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Measurement } from '../results.ts'
import { Child } from '../rpc.ts'
import { Cluster } from './cluster.ts'
import type { NodeProgram } from './cluster.ts'
import type { ReturningControl } from './returning.ts'

/** How long Redis is away, the longest time until all orders are carried out, and that for orders which come again, milliseconds. */
const OUTAGE = 3_000
const PATIENCE = 120_000
const SETTLE = 6_000

export function measureOrders (program: NodeProgram, nodes: number, orders: number): Promise<Measurement[]> {
  const crowd = new Child<ReturningControl>(join(import.meta.dirname, 'returning.ts'))
  return Cluster.run(program, nodes, async ({ members, redis }) => {
    const owners = Array.from({ length: orders }, (_, i) => String(i))
    for (const [node, { port }] of members.entries()) await crowd.remote.open(port, owners.filter((_, i) => i % nodes === node))
    const issuer = members[0]!.process.remote
    const given = issuer.orders(owners)
    while (await issuer.ordered() < orders / 4) await sleep(5)
    await redis.kill()
    const before = await issuer.ordered()
    await sleep(OUTAGE)
    await redis.start()
    const startedAt = performance.now()
    const rejected = await given
    while ((await crowd.remote.closed())[0]! > 0 && performance.now() - startedAt < PATIENCE) await sleep(100)
    const duration = (performance.now() - startedAt) / 1000
    await sleep(SETTLE)
    const closed = await crowd.remote.closed()
    const share = (count: number) => count / orders * 100
    return [
      { metric: 'orders carried out once', unit: '%', value: share(closed[1]!) },
      { metric: 'orders carried out twice', unit: '%', value: share(closed.slice(2).reduce((sum, count) => sum + count, 0)) },
      { metric: 'orders until all are carried out', unit: 's', value: duration },
      { metric: 'orders given before the outage', unit: '%', value: share(before) },
      { metric: 'orders rejected, and given again', unit: '%', value: share(rejected) }
    ]
  }).finally(() => crowd.stop())
}
