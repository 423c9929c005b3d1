/**
 * One run's world: the tracker on a fake clock, its peers, its schedule, and the way time goes on in it.
 *
 * Every moment at which anything happens is a step of its own, after which the invariants are looked at. What happened
 * is kept as a trace, and the first breach of an invariant ends the run.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyBaseLogger } from 'fastify'
import type { WebSocket } from 'ws'
import type { CloseCause } from '../../lib/base/close-codes.ts'
import type { DrainReport } from '../../lib/track/drain-report.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { guardLog } from '../../lib/base/guard.ts'
import { kConnection } from '../../lib/connection/of-socket.ts'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import { resolveOptions } from '../../lib/options/resolve.ts'
import type { ResolvedOptions } from '../../lib/options/resolve.ts'
import type { ManagedTracker } from '../../lib/track/managed-tracker.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { fake, FakeTransport } from '../helpers/fake-socket.ts'
import type { Wiring } from '../../lib/wiring.ts'
import { createLog, createTracker } from '../helpers/tracker-rig.ts'
import { fault } from './application.ts'
import { listen, listenTo } from './invariants/all.ts'
import { CONTEXTS } from './invariants/contexts.ts'
import type { Invariant } from './invariants/invariant.ts'
import type { Random } from './random.ts'
import { Peer } from './peers.ts'
import type { Habit } from './peers.ts'
import type { Sabotage } from './broken.ts'
import { Schedule } from './schedule.ts'
import { Sending } from './sending.ts'
import { Time } from './time.ts'
import type { Moment } from './time.ts'

/** Steps that are kept to explain a failure. */
const TRACE = 40

/** After a longer one in a drain, milliseconds, turns of the event loop are expected to take longer. */
const LONG_STALL = 100

/** A cleanup that was added. */
export interface Cleanup {
  name: string
  peer: Peer
  runs: number
  /** It ran while its connection was not closing. */
  early: boolean
}

/** Tag of those that are sent to and disconnected together. */
export const TAG = 'lobby'

/** An invariant that did not hold. */
export interface Breach {
  invariant: string
  message: string
}

/** A logger that fails now and then. */
export function badLog (random: Random): FastifyBaseLogger {
  const { log } = createLog('none')
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    log[level] = () => { if (random.chance(0.2)) throw new Error('on purpose') }
  }
  log.child = () => {
    if (random.chance(0.2)) throw new Error('on purpose')
    return log
  }
  return log
}

export class World {
  readonly random: Random
  readonly clock = new FakeClock()
  readonly time = new Time(this.clock)
  readonly schedule = new Schedule()
  readonly options: ResolvedOptions
  readonly tracker: ManagedTracker
  readonly admission: Wiring['admission']
  readonly broadcasts: Wiring['broadcasts']
  readonly statistics: Wiring['statistics']
  readonly invariants: readonly Invariant[]
  readonly peers = new Set<Peer>()
  readonly byConnection = new Map<ManagedConnection, Peer>()
  /** Those that are not closed. */
  readonly live = new Set<Peer>()
  readonly trace: string[] = []
  /** How many closed for which cause. */
  readonly causes: Partial<Record<CloseCause, number>> = {}
  /** `back` is when each client comes back that was told so; `left` are those that had not closed when the drain ended. */
  readonly drain: { startedAt: Moment | null, doneAt: Moment | null, overSince: number | null, aborted: boolean, reports: DrainReport[], left: Peer[], back: number[] } =
    { startedAt: null, doneAt: null, overSince: null, aborted: false, reports: [], left: [], back: [] }

  readonly cleanups: Cleanup[] = []
  /** Whatever the application still has to do. */
  readonly unsettled = new Set<() => void>()
  /** Who is being served: a request, or a connection whose handler runs. In some runs: it makes every promise dear. */
  readonly #context: AsyncLocalStorage<string> | null
  /** What the application sends. */
  readonly sending = new Sending(this)
  /** Ends the sabotage. */
  readonly undo: () => void
  /** The process got little CPU for a while, or stood still in the drain, or again and again: a drain then closes connections earlier. */
  starved = false
  /** What @fastify/under-pressure says. */
  underPressure = false
  /** The run is over: no client connects any more. */
  over = false
  /** The connection that is about to take a place. */
  arriving: Peer | null = null
  /** Those that had to make room for it. */
  victims: Peer[] = []
  /** When connections were evicted, by key. */
  readonly evictions = new Map<string, number[]>()
  steps = 0
  breach: Breach | null = null
  #names = 0

  constructor (random: Random, options: LifecycleOptions, invariants: readonly Invariant[], sabotage: Sabotage | undefined) {
    this.random = random
    this.invariants = invariants
    this.options = resolveOptions(options)
    const broken = sabotage?.begin(this.clock)
    this.#context = random.chance(0.1) ? new AsyncLocalStorage() : null
    this.undo = () => {
      broken?.undo?.()
      this.#context?.disable()
    }
    const { random: chance } = Math
    // It is taken when the tracker is made.
    Math.random = broken?.random ?? random.next
    try {
      const rig = createTracker(options, 'none', { clock: this.clock, transport: this.#transport(), log: guardLog(badLog(random)), isUnderPressure: () => this.underPressure, ...broken?.parts })
      this.tracker = rig.tracker
      this.admission = rig.admission
      this.broadcasts = rig.broadcasts
      this.statistics = rig.statistics
    } finally {
      Math.random = chance
    }
    listen(this)
  }

  // ——— who is there

  /** A handshake is accepted; it is announced by `announce`. */
  accept (habit: Habit, settings: ResolvedOptions['settings'], { handle = true, owner, ip }: { handle?: boolean, owner: string | undefined, ip: string }): Peer {
    const peer = new Peer(this, `#${++this.#names}`, habit, settings, handle)
    if (settings.heartbeat !== false) this.time.watch(settings.heartbeat.interval)
    const connection = this.tracker.accept(peer.socket.ws, { route: '/', ip, requestId: 'req', owner, settings: this.statistics.ofRoute('/', settings) })
    // Ids grow in the whole process: a run that is done again must have the same.
    ;(connection as { id: number }).id = this.#names
    peer.connection = connection
    peer.socket[kConnection] = connection
    this.peers.add(peer)
    this.live.add(peer)
    this.byConnection.set(connection, peer)
    const { received } = connection
    connection.received = (data, isBinary) => {
      peer.lastMessage = this.time.moment
      if (!connection.muted) peer.readAt.push(this.clock.now())
      const delivered = received.call(connection, data, isBinary)
      if (delivered) peer.deliveredAt.push(this.clock.now())
      return delivered
    }
    listenTo(this, peer)
    return peer
  }

  /** Announces a connection. */
  announce (peer: Peer): void {
    peer.openedAt = this.time.moment
    const isOpen = peer.connection.state === 'open'
    this.serves(peer.name, () => {
      this.#takesPlace(peer, () => {
        peer.entered = isOpen
        peer.heldOwner = peer.connection.owner
        // A listener may close it before the refusal does.
        const refused = (): void => { peer.entered = false }
        this.tracker.on('refused', refused)
        this.tracker.opened(peer.connection)
        this.tracker.off('refused', refused)
      })
    })
    peer.habit.begin(peer)
  }

  /** Does something in the async context of a request or a handler. */
  serves<T> (who: string, act: () => T): T { return this.#context === null ? act() : this.#context.run(who, act) }

  /** Code of a connection runs. */
  runs (peer: Peer, what: string): void {
    const context = this.#context?.getStore()
    if (context !== undefined && context !== peer.name) this.violate(CONTEXTS, `${what} of ${peer.name} ran in the context of ${context}`)
  }

  setOwner (peer: Peer, owner: string | undefined): void {
    const { connection } = peer
    const counts = connection.state === 'open' || connection.state === 'draining'
    this.#takesPlace(peer, () => {
      if (counts) peer.heldOwner = owner
      if (!connection.setOwner(owner) && counts) peer.heldOwner = undefined
    })
  }

  #takesPlace (peer: Peer, act: () => void): void {
    this.arriving = peer
    this.victims = []
    act()
    if (peer.ended === 'refused' && this.victims.length > 0) this.violate('no connection is evicted in vain', `${this.victims[0]!.name} had to make room for ${peer.name}, which was refused`)
    this.arriving = null
  }

  // ——— what happens

  /** Notes what is about to happen. */
  note (what: string): void {
    this.trace.push(`${this.clock.now().toFixed(0).padStart(7)} ${what}`)
    if (this.trace.length > TRACE) this.trace.shift()
  }

  later (delay: number, callback: () => void): void { this.schedule.add(this.clock.now() + delay, callback) }

  /** A promise of the application, which settles after a while, at the end of the run, or with an error. */
  job (ended: () => void = () => {}): Promise<void> {
    const { random } = this
    return new Promise((resolve, reject) => {
      const settle = () => {
        if (!this.unsettled.delete(settle)) return
        ended()
        if (random.chance(0.2)) reject(new Error('job failed'))
        else resolve()
      }
      this.unsettled.add(settle)
      if (random.chance(0.85)) this.later(random.upTo(random.chance(0.2) ? 5_000 : 500), settle)
    })
  }

  /**
   * A transport whose calls take time, so that not all are served in one slice. The application's own methods of some sockets
   * throw: ours then tells the connection, and does itself what they were to do.
   */
  #transport (): FakeTransport {
    const transport = new FakeTransport()
    const { write } = transport
    transport.write = (socket, frame) => {
      if (this.random.chance(0.5)) this.time.work(1)
      return write.call(transport, socket, frame)
    }
    for (const name of ['close', 'terminate', 'pause', 'resume'] as const) {
      const method = transport[name] as (...args: unknown[]) => void
      transport[name] = (socket: WebSocket, ...args: unknown[]) => {
        if (this.random.chance(0.5)) this.time.work(0.5)
        const peer = this.byConnection.get(fake(socket).connection!)
        if (peer?.methodsThrow && this.random.chance(0.5)) fault(peer)
        method.call(transport, socket, ...args)
      }
    }
    return transport
  }

  // ——— how time goes on

  /** Lets time pass, one moment after the other. */
  async advance (ms: number): Promise<void> {
    const target = this.clock.now() + ms
    while (this.breach === null && this.clock.now() < target) {
      const now = this.clock.now()
      // Where nothing happens, it is looked at once a tick all the same.
      this.clock.pass(Math.max(0, Math.min(target - now, 50, this.schedule.next - now, this.clock.nextTimerIn)))
      await this.turn()
    }
  }

  /** What is due happens, promises settle, and all invariants are looked at. */
  turn (): Promise<void> {
    // No request is served meanwhile.
    return this.#context === null ? this.#turn() : this.#context.run(undefined as never, () => this.#turn())
  }

  async #turn (): Promise<void> {
    this.schedule.run(this.clock.now())
    await this.clock.flush(() => {
      this.time.turned()
      // Writes take time, turn after turn, and the peers go on meanwhile.
      this.schedule.run(this.clock.now())
    })
    this.steps++
    for (const { name, step } of this.invariants) {
      const message = step?.(this)
      if (message) this.violate(name, message)
    }
  }

  /** The event loop stands still, while peers go on. */
  async stall (ms: number): Promise<void> {
    if (ms > LONG_STALL && this.drain.startedAt !== null) this.starved = true
    this.time.stall(ms)
    await this.turn()
  }

  /** The machine sleeps, and so do the peers; what was on its way may be lost. */
  async suspend (ms: number): Promise<void> {
    const now = this.clock.now() + ms
    // A stall is two ticks at most, which those who are asked have less.
    this.schedule.postpone(Math.max(0, ms - 100), now)
    await this.stall(ms)
  }

  violate (invariant: string, message: string): void {
    this.breach ??= { invariant, message }
  }
}
