/**
 * A drain on a fake clock with fake peers: what it sends, when, and what it tells.
 */
import assert from 'node:assert/strict'
import type { Connection, CloseRecord } from '../../lib/connection/connection.ts'
import type { ConnectionFacts } from '../../lib/connection/facts.ts'
import type { DrainPlan, DrainProgress, DrainReport, DrainTrigger } from '../../lib/track/drain-report.ts'
import { Drain } from '../../lib/drain/drain.ts'
import type { DrainHost } from '../../lib/drain/host.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { Pace } from '../../lib/drain/pace.ts'
import { Schedule } from '../../lib/drain/schedule.ts'
import { makePlan } from '../../lib/drain/plan.ts'
import type { PlanInput } from '../../lib/drain/plan.ts'
import { FakeHost } from './fake-host.ts'
import type { FakeHostOptions, Pair } from './fake-host.ts'
import type { FakeClock } from './fake-clock.ts'
import { fake, FakeTransport } from './fake-socket.ts'
import type { FakeSocketOptions } from './fake-socket.ts'
import { createJob } from './job.ts'
import type { Job } from './job.ts'

export interface RigOptions extends Partial<PlanInput>, Omit<FakeHostOptions, 'closeTimeout'> {
  code?: number
  reason?: DrainHost['reason']
  reconnect?: Partial<DrainHost['reconnect']>
  onDrain?: (connection: Connection) => unknown
  /** @default none of the clients can move */
  mover?: DrainHost['mover']
  /** @default none */
  fleet?: DrainHost['fleet']
  /** @default false */
  takeover?: boolean
  /** @default false */
  maxConnections?: number | false
  random?: () => number
  /** Milliseconds of the event loop that each close frame takes, by the number of those before it. @default 0 */
  frameCost?: number | ((before: number) => number)
  /** The same for destroying a raw socket. @default 0 */
  cutCost?: number
}

/** A close frame of the drain. */
export interface SentFrame {
  /** Milliseconds since the start of the drain. */
  at: number
  connection: number
  code: number
  reason: string
  /** The reconnect delay in the reason, if there is one. */
  retry: number
}

type RigHost = FakeHost & DrainHost

export interface Rig {
  readonly host: RigHost
  readonly clock: FakeClock
  readonly plan: DrainPlan
  readonly drain: Drain
  /** Close frames, in order. */
  readonly frames: SentFrame[]
  readonly progress: DrainProgress[]
  /** Reports that were published; one, if all is well. */
  readonly reports: DrainReport[]
  /** Records of the connections that have closed since the rig was made. */
  readonly records: CloseRecord[]
  /** 'stop' and 'refuse', with the time since the start of the drain. */
  readonly doors: Array<[what: string, at: number]>
  /** Milliseconds since the start of the drain. */
  readonly elapsed: number
  /** Phases that were told, each once, in order. */
  readonly phases: string[]
  connect (facts?: Partial<ConnectionFacts> & FakeSocketOptions): Pair
  crowd (count: number, facts?: Partial<ConnectionFacts> & FakeSocketOptions): Pair[]
  /** Starts the drain, as `drain()` does unless told otherwise. */
  start (trigger?: DrainTrigger): Promise<DrainReport>
  /** A handshake that was under way opens. */
  admit (facts?: Partial<ConnectionFacts> & FakeSocketOptions): Pair
  /** Lets time pass until the drain is over, which must be within its timeout. */
  finish (): Promise<DrainReport>
  /** Starts the drain and lets time pass until it is over. */
  run (trigger?: DrainTrigger): Promise<DrainReport>
}

export function createRig ({
  timeout, defaultTimeout = 8_000, terminationGracePeriod, preStop = 0, reserve = 5_000, settleDelay = 0, spread = false, closeTimeout,
  code = 1012, reason = 'service restart', reconnect, onDrain, mover, fleet = null, takeover = false, maxConnections = false, random = seeded(1), frameCost = 0, cutCost = 0, ...core
}: RigOptions = {}): Rig {
  const plan = makePlan({ timeout, defaultTimeout, terminationGracePeriod, preStop, reserve, settleDelay, spread, closeTimeout })
  let startedAt = 0
  const frames: SentFrame[] = []
  const doors: Rig['doors'] = []
  const host: RigHost = Object.assign(new FakeHost({ ...core, closeTimeout: plan.closeTimeout }), {
    plan,
    spread,
    fleet,
    takeover,
    maxConnections,
    code,
    reason,
    reconnect: { rate: 200, minDelay: 1_000, maxDelay: 60_000, ...reconnect },
    farewells: false,
    onDrain,
    random,
    refuseHandshakes: () => { doors.push(['refuse', clock.now() - startedAt]) }
  })
  if (mover !== undefined) host.mover = mover
  const { clock, transport, events } = host
  transport.close = (socket, code, reason) => {
    frames.push({ at: clock.now() - startedAt, connection: fake(socket).connection!.id, code, reason, retry: Number(/retry=(\d+)/.exec(reason)?.[1]) })
    FakeTransport.prototype.close.call(transport, socket, code, reason)
    clock.stall(typeof frameCost === 'number' ? frameCost : frameCost(frames.length - 1))
  }
  transport.terminate = (socket) => {
    FakeTransport.prototype.terminate.call(transport, socket)
    clock.stall(cutCost)
  }
  const drain = new Drain(host)
  const progress: DrainProgress[] = []
  const reports: DrainReport[] = []
  const records: CloseRecord[] = []
  events.on('progress', (told) => {
    if (told.phase === 'notify') doors.push(['stop', clock.now() - startedAt])
    progress.push(told)
  })
  events.on('drained', (report) => { reports.push(report) })
  events.on('closed', (_connection, record) => { records.push(record) })
  return {
    host,
    clock,
    plan,
    drain,
    frames,
    progress,
    reports,
    records,
    doors,
    get elapsed () { return clock.now() - startedAt },
    get phases () { return progress.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1]) },
    connect: (facts) => host.connect({ peer: 'answers', ...facts }),
    crowd: (count, facts) => host.crowd(count, { peer: 'answers', ...facts }),
    start (trigger = 'drain') {
      startedAt = clock.now()
      return drain.start(trigger)
    },
    admit (facts) {
      const pair = host.connect({ peer: 'answers', ...facts })
      drain.accepted()
      drain.admitted(pair.connection)
      return pair
    },
    async finish () {
      await clock.run(Math.max(0, startedAt + plan.timeout - clock.now()))
      assert.equal(drain.phase, 'done', `the drain must be over after ${plan.timeout} ms`)
      return await drain.finished
    },
    async run (trigger) {
      void this.start(trigger)
      return await this.finish()
    }
  }
}

/** A pace on its own: every connection gets its close frame when its turn has come. */
export function pacer (clock: FakeClock, random: () => number, send: (connection: ManagedConnection) => void): Pace {
  return new Pace(clock, random, new Schedule({ rate: 200, minDelay: 1_000, maxDelay: 60_000 }), { turn: () => 'closes', send })
}

/** Work that goes on until the test ends it. */
export function work ({ connection }: Pair): Job {
  const job = createJob()
  void connection.track(job.promise)
  return job
}

/** Pseudo-random numbers of [0, 1), the same for a seed (mulberry32). */
export function seeded (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
