/**
 * The cost of finding dead peers: CPU per connection and beat, and the longest stall of the event loop; with all peers idle,
 * and with all active. Active peers send a message between any two checks; the cost of the messages is measured without a
 * heartbeat and subtracted.
 *
 * That difference is smaller than the noise of messages over a network. The scenario in-process measures the cost of this
 * plugin with all peers active, as `beat, all active`.
 *
 * Stalls are measured after CPU, because the probe's timer would be most of the CPU time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { BARE_RECIPE, FLOOR, OURS, RECIPE } from '../candidates.ts'
import type { Candidate } from '../candidates.ts'
import type { Measurement } from '../results.ts'
import type { Scenario } from '../scenario.ts'
import { Session } from '../session.ts'

/** Milliseconds. */
const INTERVAL = 3_000
const BEATS = 3
/** Time between two messages of a client: less than between two checks, which is half an interval. */
const TALK = 1_300

export const heartbeat: Scenario = {
  title: 'Heartbeat',
  sizes: [1_000, 10_000, 18_500],
  rounds: 2,
  // At the larger sizes the recipe is measured on ws alone.
  candidates: (connections) => [OURS, RECIPE, ...(connections <= 1_000 ? [BARE_RECIPE] : []), FLOOR],
  peers: [RECIPE, FLOOR],

  async measure (candidate, connections) {
    const beating = await Session.run(candidate, { handler: 'sync', heartbeat: INTERVAL }, async (session) => {
      await session.open(connections)
      await sleep(INTERVAL)
      const idle = await duringBeats(session, connections)
      const found: Measurement[] = [
        // The floor's beats are started from here, and a window may have one more or less.
        { metric: 'CPU, all idle', unit: 'µs per connection and beat', value: candidate === FLOOR ? idle.cpu / idle.pings : idle.cpu },
        { metric: 'pings, all idle', unit: 'per connection and beat', value: idle.pings },
        ...await session.stallOf('stall, all idle', () => sleep(BEATS * INTERVAL))
      ]
      // The floor pings all clients, whether they are active or not.
      if (candidate === FLOOR) return { found, active: null }
      await talk(session)
      const active = await duringBeats(session, connections)
      found.push(
        { metric: 'pings, all active', unit: 'per connection and beat', value: active.pings },
        ...await session.stallOf('stall, all active', () => sleep(BEATS * INTERVAL))
      )
      return { found, active }
    })
    if (beating.active === null) return beating.found
    const messages = await costOfMessages(candidate, connections)
    return [
      ...beating.found,
      { metric: 'CPU, all active', unit: 'µs per connection and beat', value: beating.active.cpu - messages },
      { metric: 'CPU of the messages, all active', unit: 'µs per connection and beat', value: messages }
    ]
  }
}

/** The same traffic without a heartbeat, microseconds per connection and interval. */
function costOfMessages (candidate: Candidate, connections: number): Promise<number> {
  return Session.run(candidate, { handler: 'sync', heartbeat: false }, async (session) => {
    await session.open(connections)
    await sleep(INTERVAL)
    // Idle for as long as the other run, so that compiled code and heap are the same.
    await sleep(2 * BEATS * INTERVAL)
    await talk(session)
    return (await duringBeats(session, connections)).cpu
  })
}

async function talk (session: Session): Promise<void> {
  await session.load.talk(TALK)
  await sleep(INTERVAL)
}

/** CPU microseconds and pings, both per connection and beat. */
async function duringBeats (session: Session, connections: number): Promise<{ cpu: number, pings: number }> {
  const before = await session.load.counts()
  const cpu = await session.cpuOf(() => sleep(BEATS * INTERVAL))
  const { pings } = await session.load.counts()
  const per = connections * BEATS
  return { cpu: cpu / per, pings: (pings - before.pings) / per }
}
