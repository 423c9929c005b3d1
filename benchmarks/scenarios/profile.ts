/**
 * CPU time of the main thread by the code it is in, for beats, broadcasts, handshakes and closing.
 *
 * The profiler itself takes a few per cent: the other scenarios measure the costs, this one shows where they arise.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BARE, OURS, RECIPE, WS } from '../candidates.ts'
import type { Candidate } from '../candidates.ts'
import { CALLS, MOST, PROFILE_PARTS, TURNS, WHOLE } from '../results.ts'
import type { Measurement, ProfilePart } from '../results.ts'
import type { Scenario } from '../scenario.ts'
import type { Profile, ServerOptions } from '../servers/control.ts'
import { Session } from '../session.ts'

/** The folder for the profiles. */
const FOLDER = join(import.meta.dirname, '../results/profiles')
/** Milliseconds. */
const INTERVAL = 3_000
const BEATS = 4
const BROADCASTS = 5
const MESSAGE_BYTES = 64
/** Thousands of handshakes before the measurement: see the scenario handshakes. */
const WARM_UP = 10

interface Activity {
  unit: string
  candidates: Candidate[]
  options?: Partial<ServerOptions>
  /** Warms up, then runs; `run` returns how many times its unit was done. */
  prepare (session: Session, connections: number): Promise<unknown>
  run (session: Session, connections: number): Promise<number>
}

const ACTIVITIES: Record<string, Activity> = {
  'a beat': {
    unit: 'µs per connection and beat',
    candidates: [OURS, RECIPE],
    options: { heartbeat: INTERVAL },
    async prepare (session, connections) {
      await session.open(connections)
      await sleep(2 * INTERVAL)
    },
    async run (_session, connections) {
      await sleep(BEATS * INTERVAL)
      return BEATS * connections
    }
  },
  'a broadcast': {
    unit: 'µs per peer',
    candidates: [OURS, WS],
    async prepare (session, connections) {
      await session.open(connections)
      await session.broadcast(MESSAGE_BYTES, connections, BROADCASTS)
    },
    async run (session, connections) {
      await session.broadcast(MESSAGE_BYTES, connections, BROADCASTS)
      return BROADCASTS * connections
    }
  },
  'a handshake': {
    unit: 'µs per handshake',
    candidates: [OURS, BARE],
    prepare: (session) => session.warmUp(WARM_UP),
    async run (session, connections) {
      await session.open(connections)
      return connections
    }
  },
  closing: {
    unit: 'µs per connection',
    candidates: [OURS, BARE],
    async prepare (session, connections) {
      await session.warmUpClosing()
      await session.open(connections)
    },
    async run (session, connections) {
      await session.close()
      return connections
    }
  }
}

export const profile: Scenario = {
  title: 'Profile',
  sizes: [18_500],
  rounds: 2,
  candidates: () => [OURS, BARE, WS, RECIPE],
  peers: [],

  async measure (candidate, connections) {
    const found: Measurement[] = []
    for (const [name, activity] of Object.entries(ACTIVITIES)) {
      if (!activity.candidates.some(({ server, options }) => server === candidate.server && options === candidate.options)) continue
      const { cpu, parts, largest, calls, turns, units } = await profileOf(name, activity, candidate, connections)
      const add = (metric: string, value: number, unit = activity.unit) => { found.push({ metric: `${name}: ${metric}`, unit, value: value / units }) }
      add(WHOLE, cpu)
      for (const part of Object.keys(PROFILE_PARTS) as ProfilePart[]) add(PROFILE_PARTS[part], parts[part])
      if (candidate.server === 'ours') add(MOST, largest)
      if (calls > 0) add(CALLS, calls)
      if (turns !== null) add(TURNS, turns, activity.unit.replace('µs ', ''))
    }
    return found
  }
}

function profileOf (name: string, { options, prepare, run }: Activity, candidate: Candidate, connections: number): Promise<Profile & { units: number }> {
  mkdirSync(FOLDER, { recursive: true })
  const file = `${candidate.name}-${name}.cpuprofile`.replaceAll(' ', '-')
  return Session.run(candidate, { handler: 'sync', ...options }, async (session) => {
    await prepare(session, connections)
    await session.server.profile()
    const units = await run(session, connections)
    return { ...await session.server.profiled(join(FOLDER, file)), units }
  })
}
