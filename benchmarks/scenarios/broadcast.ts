/**
 * One message to all clients: CPU and wall time per peer until all have it, and the longest stall of the event loop.
 */
import { FLOOR, OURS, RAW_SLICES, RAW_WRITES, SOCKET_IO, UWS, WS } from '../candidates.ts'
import type { Measurement } from '../results.ts'
import type { Scenario } from '../scenario.ts'
import { Session } from '../session.ts'

/** Bytes. */
const MESSAGES = [{ bytes: 64, name: '64 B' }, { bytes: 1_024, name: '1 KiB' }]
/** Broadcasts before the measurement, and measured ones. */
const WARM_UP = 3
const REPEATS = 5
/** The heartbeat is on, but no beat occurs meanwhile. */
const HEARTBEAT = 600_000

export const broadcast: Scenario = {
  title: 'Broadcast',
  sizes: [1_000, 10_000, 18_500],
  rounds: 3,
  candidates: () => [OURS, WS, SOCKET_IO, UWS, RAW_WRITES, RAW_SLICES, FLOOR],
  peers: [WS, SOCKET_IO, RAW_WRITES, RAW_SLICES, FLOOR],

  measure: (candidate, connections) => Session.run(candidate, { handler: 'sync', heartbeat: HEARTBEAT }, async (session) => {
    await session.open(connections)
    const found: Measurement[] = []
    for (const { bytes, name } of MESSAGES) {
      await session.broadcast(bytes, connections, WARM_UP)
      let wall = 0
      const cpu = await session.cpuOf(async () => { wall = await session.broadcast(bytes, connections, REPEATS) })
      const per = connections * REPEATS
      found.push(
        { metric: `CPU, ${name}`, unit: 'µs per peer', value: cpu / per },
        { metric: `wall, ${name}`, unit: 'µs per peer', value: wall / per },
        ...await session.stallOf(`stall, ${name}`, () => session.broadcast(bytes, connections, REPEATS))
      )
    }
    return found
  })
}
