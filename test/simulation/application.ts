/**
 * What the application of a run does: options, hooks, listeners, cleanups, consumers. Much of it fails.
 */
import type { Connection } from '../../lib/connection/connection.ts'
import { fault as failOn } from '../../lib/connection/faults.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import type { Settings } from '../../lib/connection/settings.ts'
import { POLICIES } from '../../lib/track/observation.ts'
import type { LifecycleOptions, LimitsOptions } from '../../lib/options/options.ts'
import { LIMIT_POLICIES } from '../../lib/limit/admission-decision.ts'
import type { Peer } from './peers.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'
import { NO_SETTINGS } from '../helpers/fake-host.ts'

const failure = () => new Error('on purpose')

/** Options of a run, small enough that a lot happens in little time. */
export function chooseOptions (random: Random, hooks: Pick<LifecycleOptions, 'onOpen' | 'onDrain'>): LifecycleOptions {
  const timeout = random.pick([300, 1_000, 2_000, 4_000])
  return {
    ...hooks,
    ...chooseSettings(random),
    closeTimeout: random.between(50, Math.floor(timeout / 4)),
    cleanupTimeout: random.pick([100, 300, 1_000]),
    history: random.pick([0, 3, 256]),
    limits: chooseLimits(random),
    mode: random.chance(0.85) ? 'enforce' : random.chance(0.5) ? 'observe' : Object.fromEntries(POLICIES.map((policy) => [policy, random.chance(0.5) ? 'observe' : 'enforce'])),
    drain: {
      timeout,
      reserve: random.chance(0.3) ? random.upTo(1_000) : undefined,
      settleDelay: random.chance(0.3) ? random.upTo(timeout / 4) : 0,
      spread: random.chance(0.3) ? random.upTo(timeout / 4) : random.chance(0.3) ? false : 'auto',
      reconnect: { rate: random.pick([5, 20, 100, 1_000]), ...random.chance(0.5) && { minDelay: 0 } },
      code: random.chance(0.2) ? 1001 : 1012
    }
  }
}

/** Limits of a run, or none; small, so that they are met. */
function chooseLimits (random: Random): LimitsOptions {
  if (random.chance(0.5)) return {}
  const limit = (least: number, most: number) => random.chance(0.4) ? false : { max: random.between(least, most), policy: random.pick(LIMIT_POLICIES) }
  return {
    total: limit(5, 15),
    perOwner: limit(1, 4),
    perAddress: limit(2, 5),
    handshakes: { max: random.chance(0.3) ? random.between(1, 3) : false },
    pressure: random.chance(0.4)
  }
}

/** Settings of a route or of all. */
export function chooseSettings (random: Random): Settings {
  const interval = random.chance(0.02) ? 30_000 : random.pick([100, 130, 200, 250, 400, 1_000])
  const heartbeat = random.chance(0.1) ? false : { interval, maxMissed: random.between(1, 3) }
  return {
    heartbeat,
    idleTimeout: random.chance(0.4) ? false : (heartbeat === false ? 0 : interval) + random.between(1, 2_000),
    maxLifetime: random.chance(0.7) ? false : random.between(100, 5_000),
    messageRate: random.chance(0.6)
      ? false
      : { max: random.between(1, 20), timeWindow: random.pick([100, 1_000]), burst: random.between(1, 20), policy: random.pick(['close', 'pause'] as const) },
    backpressure: random.chance(0.6)
      ? NO_SETTINGS.backpressure
      : {
          maxStallTime: random.chance(0.3) ? false : random.pick([200, 330, 500, 1_000]),
          maxBufferedBytes: random.chance(0.5) ? false : random.pick([1_000, 20_000, 50_000]),
          policy: random.pick(['close', 'drop'] as const)
        }
  }
}

/** The hooks of a world that is about to be made. */
export function chooseHooks (random: Random, world: () => World): Pick<LifecycleOptions, 'onOpen' | 'onDrain'> {
  return {
    onOpen: (connection) => {
      if (!random.chance(0.02)) return
      peerOf(world(), connection)?.causes.add('error')
      throw failure()
    },
    onDrain: (connection) => {
      world().runs(peerOf(world(), connection)!, 'onDrain')
      switch (random.upTo(9)) {
        case 0: throw failure()
        case 1: return Promise.reject(failure())
        case 2: return world().job()
        default: return undefined
      }
    }
  }
}

/** Listens to the tracker's events, and fails at some. */
export function listenBadly (world: World): void {
  const { random, tracker } = world
  const fail = (...[subject]: unknown[]) => {
    if (random.chance(0.03)) throw failure()
    // Code that runs takes its time, too.
    if (random.chance(0.05)) world.time.work(random.upTo(5))
    if (random.chance(0.02)) meddle(world, subject)
    return random.chance(0.03) ? Promise.reject(failure()) : undefined
  }
  for (const event of ['open', 'draining', 'closing', 'closed', 'error', 'progress', 'drain', 'drained'] as const) tracker.on(event, fail)
}

/** A listener ends the connection of which it hears, or another. */
function meddle (world: World, subject: unknown): void {
  const { random, live } = world
  const peer = random.chance(0.5) ? world.byConnection.get(subject as ManagedConnection) : random.pick([...live])
  if (peer === undefined) return
  peer.causes.add('application')
  if (random.chance(0.3)) peer.socket.terminate()
  else if (random.chance(0.5)) void peer.connection.terminate().catch(() => {})
  else void peer.connection.close(4_000, 'enough').catch(() => {})
}

/** What the route's handler does with a connection that has just opened. */
export function handle (world: World, peer: Peer): void {
  world.serves(peer.name, () => { handler(world, peer) })
}

function handler (world: World, peer: Peer): void {
  const { random } = world
  const { connection, socket } = peer
  for (let i = random.upTo(2); i > 0; i--) addCleanup(world, peer)
  if (random.chance(0.2)) connection.tag(random.pick(['a', 'b', 'c']))
  if (random.chance(0.3)) listenToSignals(world, peer)
  if (random.chance(0.2)) void consume(world, peer)
  if (random.chance(0.1)) void connection.closed
  socket.onMessage = (data) => {
    peer.listened.push(Number(data))
    if (random.chance(0.02)) fault(peer)
    else if (random.chance(0.05)) work(world, peer)
  }
}

/** Listens to both signals of a connection. */
function listenToSignals (world: World, peer: Peer): void {
  const { connection } = peer
  for (const [what, signal] of [['signal', connection.signal], ['drainSignal', connection.drainSignal]] as const) {
    signal.addEventListener('abort', () => { world.runs(peer, `an abort listener of ${what}`) })
  }
  peer.signal = connection.signal
}

/** A listener of the connection's socket fails. */
export function fault (peer: Peer, error: unknown = failure()): void {
  peer.causes.add('error')
  failOn(peer.connection, error)
}

/** Declares work in flight. */
export function work (world: World, peer: Peer): void {
  peer.jobs++
  peer.connection.track(world.job(() => { peer.jobs-- })).catch(() => {})
}

/** Iterates over the messages, with a small mark and a body that takes its time. */
async function consume (world: World, peer: Peer): Promise<void> {
  const { random } = world
  const { connection } = peer
  const slow = random.chance(0.5)
  try {
    for await (const message of connection.messages({ highWaterMark: random.pick([1, 200, 65_536]) })) {
      peer.consumed.push(Number(message))
      if (slow && random.chance(0.3)) await world.job()
      if (random.chance(0.02)) return
    }
  } catch (error) {
    fault(peer, error)
  }
}

/** Adds a cleanup of some kind. */
export function addCleanup (world: World, peer: Peer, kind: string = world.random.pick(KINDS)): void {
  const { random } = world
  const cleanup = { name: kind, peer, runs: 0, early: false }
  world.cleanups.push(cleanup)
  peer.cleanups++
  peer.deferredAt = world.time.slow
  peer.connection.defer(() => {
    cleanup.runs++
    world.runs(peer, 'a cleanup')
    cleanup.early = peer.connection.state === 'open' || peer.connection.state === 'draining'
    switch (kind) {
      case 'throws': throw failure()
      case 'rejects': return Promise.reject(failure())
      case 'settles at once': return { then: (resolve: (value: unknown) => void) => { resolve(undefined) } }
      case 'takes time': return world.job()
      case 'adds another': return addCleanup(world, peer, random.pick(['quick', 'takes time']))
      case 'closes': return peer.connection.close().catch(() => {})
      case 'ends all': return world.tracker.drain().catch(() => {})
      default: return undefined
    }
  })
}

const KINDS = ['quick', 'quick', 'throws', 'rejects', 'settles at once', 'takes time', 'takes time', 'adds another', 'closes', 'ends all']

function peerOf (world: World, connection: Connection): Peer | undefined {
  return world.byConnection.get(connection as ManagedConnection)
}
