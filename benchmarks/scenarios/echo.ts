/**
 * Echoed messages of 64 bytes: CPU of the server per message, with 32 of the open connections busy and a fixed number of
 * messages under way.
 */
import { BARE, FLOOR, OURS, SOCKET_IO, UWS, WS } from '../candidates.ts'
import type { Scenario } from '../scenario.ts'
import { Session } from '../session.ts'

const TRAFFIC = { busy: 32, inFlight: 2, bytes: 64 }
const WARM_UP = 10_000
const MESSAGES = 50_000
/** The heartbeat is on, but no beat occurs meanwhile. */
const HEARTBEAT = 600_000

export const echo: Scenario = {
  title: 'Echo',
  sizes: [1_000, 10_000, 18_500],
  rounds: 3,
  candidates: () => [OURS, BARE, WS, SOCKET_IO, UWS, FLOOR],
  peers: [BARE, FLOOR],

  measure: (candidate, connections) => Session.run(candidate, { handler: 'echo', heartbeat: HEARTBEAT }, async (session) => {
    await session.open(connections)
    await session.load.echo({ ...TRAFFIC, messages: WARM_UP })
    let wall = 0
    const cpu = await session.cpuOf(async () => {
      const { startedAt, endedAt } = await session.load.echo({ ...TRAFFIC, messages: MESSAGES })
      wall = endedAt - startedAt
    })
    return [
      { metric: 'CPU', unit: 'µs per message', value: cpu / MESSAGES },
      { metric: 'wall', unit: 'µs per message', value: wall / MESSAGES }
    ]
  })
}
