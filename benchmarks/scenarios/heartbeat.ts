/**
 * What it costs to find dead peers: CPU a connection and beat, and the longest stall of the event loop; all peers idle,
 * and all active (each sends a message between any two looks, whose own cost is measured without a heartbeat and taken off).
 *
 * The difference of the two is finer than the cost of messages over a network can be told: what ours takes with all peers
 * active is in the scenario in-process, as `beat, all active`.
 *
 * Stalls are looked for after CPU was measured: the probe's timer would be the greater part of it.
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
/** From message to message of a client: less than from look to look of ours, which is half an interval. */
const TALK = 1_300

export const heartbeat: Scenario = {
  title: 'Heartbeat',
  sizes: [1_000, 10_000, 18_500],
  rounds: 2,
  // At the larger sizes the recipe is the recipe.
  candidates: (connections) => [OURS, RECIPE, ...(connections <= 1_000 ? [BARE_RECIPE] : []), FLOOR],
  peers: [RECIPE, FLOOR],

  async measure (candidate, connections) {
    const beating = await Session.run(candidate, { handler: 'sync', heartbeat: INTERVAL }, async (session) => {
      await session.open(connections)
      await sleep(INTERVAL)
      const idle = await duringBeats(session, connections)
      const found: Measurement[] = [
        // The floor's beats are timed from here, and those of a window may be one more or less.
        { metric: 'CPU, all idle', unit: 'µs per connection and beat', value: candidate === FLOOR ? idle.cpu / idle.pings : idle.cpu },
        { metric: 'pings, all idle', unit: 'per connection and beat', value: idle.pings },
        ...await session.stallOf('stall, all idle', () => sleep(BEATS * INTERVAL))
      ]
      // The floor pings whoever there is, and knows of nobody's activity.
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
    // As idle as the other one was: compiled code and heap are the same then.
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
