/**
 * Opening connections, 64 handshakes at a time, and keeping all of them: CPU and wall time of each.
 */
import { BARE, FLOOR, OURS, SOCKET_IO, UWS, WS } from '../candidates.ts'
import type { Scenario } from '../scenario.ts'
import { Session } from '../session.ts'

/** Thousands of handshakes before the measurement: only after about 10,000 is all of the code compiled. Until then they cost twice as much. */
const WARM_UP = 10

export const handshakes: Scenario = {
  title: 'Handshakes',
  sizes: [1_000, 10_000, 18_500],
  rounds: 3,
  candidates: () => [OURS, BARE, WS, SOCKET_IO, UWS, FLOOR],
  peers: [BARE, FLOOR],

  measure: (candidate, connections) => Session.run(candidate, { handler: 'sync' }, async (session) => {
    await session.warmUp(WARM_UP)
    let wall = 0
    const cpu = await session.cpuOf(async () => { wall = await session.open(connections) })
    return [
      { metric: 'CPU', unit: 'µs per handshake', value: cpu / connections },
      { metric: 'wall', unit: 'µs per handshake', value: wall / connections }
    ]
  })
}
