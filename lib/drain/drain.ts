/**
 * The drain: settle → stop admitting → notify → grace → close at a pace → cut off → clean up → report.
 *
 * A tracker has one drain, and all callers get its one promise. Events of connections drive it; its one timer only bounds the
 * waiting: clients that answer are drained without it, and a drain without connections ends before `start` returns. Every
 * moment is counted back from the end of `timeout`: a late drain shortens the spread first, then grace.
 */
import type { Cleanup } from '../connection/cleanups.ts'
import type { Timer } from '../base/clock.ts'
import type { ActOptions, CloseRecord } from '../connection/connection.ts'
import { deferred } from '../base/deferred.ts'
import { DRAIN_PHASES } from '../track/drain-report.ts'
import type { DrainPhase, DrainPlan, DrainReport, DrainTrigger, Holder } from '../track/drain-report.ts'
import { nameOf } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { CutOff } from './cut-off.ts'
import type { DrainHost } from './host.ts'
import { CloseFrames } from './close-frame.ts'
import { Forecasts } from './forecast.ts'
import { Holders } from './holders.ts'
import { notifyAll } from './notify.ts'
import { momentsOf } from './plan.ts'
import type { DrainMoments } from './plan.ts'
import { PreClose } from './pre-close.ts'
import { Schedule } from './schedule.ts'
import { DrainSuppression } from './suppression.ts'
import { Turns } from './turns.ts'
import { ReportBuilder } from './report-builder.ts'
import { DrainWork } from './work.ts'

/** Time between two `progress` events within a phase, milliseconds. */
const PROGRESS_INTERVAL = 250

export class Drain {
  readonly #host: DrainHost
  readonly #report = deferred<DrainReport>()
  readonly #preClose: PreClose
  readonly #holders = new Holders()
  readonly #work: DrainWork
  readonly #turns: Turns
  readonly #builder: ReportBuilder
  readonly #closeFrames: CloseFrames
  readonly #cutOff: CutOff
  readonly #forecasts: Forecasts
  #suppression: DrainSuppression | null = null
  #moments: DrainMoments | null = null
  #phase: DrainPhase | null = null
  #startedAt = 0
  #progressAt = 0
  #timer: Timer | null = null
  #stepping = false
  /** Removes the drain from the hooks of connections. */
  #unhook: (() => void) | null = null

  constructor (host: DrainHost) {
    this.#host = host
    this.#work = new DrainWork(host.clock, this.#holders)
    this.#builder = new ReportBuilder(host)
    const schedule = new Schedule(host.reconnect)
    this.#closeFrames = new CloseFrames(host, this.#builder, schedule)
    this.#turns = new Turns(host, this.#work, this.#closeFrames, schedule, { graceEnd: () => this.#graceEnd, changed: () => this.#wake() })
    this.#forecasts = new Forecasts(host)
    this.#cutOff = new CutOff(host, this.#turns.pace, this.#closeFrames)
    this.#preClose = new PreClose(host, () => { if (this.#phase !== 'notify' && !this.#cutOff.begun) this.#release() })
  }

  get phase (): DrainPhase | null { return this.#phase }
  get remaining (): number { return this.#phase === null || this.#phase === 'done' ? 0 : Math.max(0, this.#startedAt + this.#host.plan.timeout - this.#host.clock.now()) }
  get finished (): Promise<DrainReport> { return this.#report.promise }
  get holding (): Holder[] { return this.#phase === null || this.#phase === 'done' ? [] : this.#work.holding(this.#host.registry) }
  get plan (): DrainPlan { return this.#forecasts.plan }
  get capacity (): number | null { return this.#forecasts.capacity }

  /** Starts the drain, or joins the one in progress; `close` ends its settling. Never rejects. */
  start (trigger: DrainTrigger, asked?: ActOptions): Promise<DrainReport> {
    if (this.#phase === null) this.#begin(trigger, asked)
    else if (trigger === 'close') this.#stop()
    return this.finished
  }

  /**
   * Runs the preClose hook of the application in *notify*; close frames wait for its promise until grace ends. After *notify* has
   * begun the hook is called at once, and its promise is returned.
   */
  preClose (hook: () => unknown): unknown {
    if (this.#phase !== null && this.#phase !== 'settle') return this.#preClose.call(hook)
    this.#preClose.give(hook)
    return undefined
  }

  /** Aborts the drain: raw sockets are destroyed, cleanups get one turn of the event loop. */
  abort (): void {
    if (this.#phase === null || this.#phase === 'done') return
    this.#builder.aborted = true
    this.#stop()
    this.#giveUp()
  }

  /** A handshake that was under way was accepted; the connection may close before it opens. */
  accepted (): void { this.#builder.total++ }

  /** A connection has opened during the drain: it is closed with the others. */
  admitted (connection: ManagedConnection): void {
    if (this.#phase === 'settle') return
    if (this.#cutOff.givingUp) return this.#closeFrames.terminate(connection, !this.#builder.aborted)
    if (this.#phase === 'done' || this.#cutOff.begun) return this.#closeFrames.sendNow(connection)
    connection.startDraining()
    // While close frames are held back, #release adds it.
    if (this.#phase !== 'notify' && !this.#preClose.holding) this.#turns.pace.add([connection])
    this.#wake()
  }

  // ——— events of connections

  lateCleanupsSettled (): void { this.#wake() }

  workEnded (connection: ManagedConnection): void {
    this.#work.ended(connection)
    this.#turns.workEnded(connection)
    this.#wake()
  }

  // Work that ends after its client has left is abandoned work: it may have ended because of that.
  left (connection: ManagedConnection): void { this.#work.abandon(connection) }

  answered (connection: ManagedConnection): void {
    this.#turns.pace.answered(connection)
    this.#wake()
  }

  gone (connection: ManagedConnection): void { this.answered(connection) }

  closed (connection: ManagedConnection, record: CloseRecord): void {
    this.#work.closed(connection)
    this.#turns.closed(connection)
    this.#builder.closed(record)
    this.#wake()
  }

  cleanupTook (connection: ManagedConnection, cleanup: Cleanup, duration: number): void {
    this.#holders.addCleanup(connection, cleanup, duration)
  }

  cleanupAbandoned (connection: ManagedConnection, cleanup: Cleanup): void {
    this.#builder.abandoned.push({ connection: connection.id, route: connection.route, cleanup: nameOf(cleanup) })
  }

  // ——— phases

  #begin (trigger: DrainTrigger, asked: ActOptions | undefined): void {
    const { clock, hooks, registry, events, plan } = this.#host
    this.#unhook = hooks.add(this, 'workEnded', 'left', 'answered', 'gone', 'closed', 'cleanupTook', 'cleanupAbandoned', 'lateCleanupsSettled')
    this.#startedAt = clock.now()
    this.#moments = momentsOf(plan, this.#startedAt)
    this.#builder.begin(trigger, asked)
    this.#work.begin(registry)
    if (!this.#host.farewells) this.#host.suppression = this.#suppression = new DrainSuppression()
    this.#enter('settle')
    events.emit('drain', { trigger, connections: registry.size, timeout: plan.timeout })
    this.#turns.bookings.begin(trigger === 'close' ? 0 : plan.settleDelay)
    if (trigger === 'close') this.#stop()
    else this.#settle()
  }

  #enter (phase: DrainPhase): void {
    // Never backwards: work that begins after most connections have closed does not bring back grace.
    if (this.#phase !== null && DRAIN_PHASES.indexOf(phase) <= DRAIN_PHASES.indexOf(this.#phase)) return
    if (this.#phase !== null && this.#phase !== 'done') this.#builder.phaseEnded(this.#phase)
    this.#phase = phase
    if (phase !== 'settle') this.#progress()
  }

  /** Keeps serving, so that load balancers notice, and reports progress. */
  #settle (): void {
    // A listener of 'drain' may have closed the app.
    if (this.#phase !== 'settle') return
    const { clock, plan } = this.#host
    const settledAt = this.#startedAt + plan.settleDelay
    if (clock.now() >= settledAt) return this.#stop()
    if (clock.now() >= this.#progressAt) this.#progress()
    // So may a listener of 'progress'.
    if (this.#phase === 'settle') this.#arm(Math.min(settledAt, this.#progressAt) - clock.now())
  }

  #stop (): void {
    if (this.#phase !== 'settle') return
    // A late drain shortens the spread first, then grace.
    const { graceEnd, lastFrameAt } = this.#moments!
    this.#moments!.graceEnd = Math.min(lastFrameAt, Math.max(graceEnd, this.#host.clock.now() + this.#host.plan.grace))
    this.#enter('notify')
    this.#preClose.run()
    // Before connections are notified: work that ends on its drainSignal was in flight, too.
    this.#work.waitForAll(this.#host.registry)
    notifyAll(this.#host, this.#moments!.graceEnd, () => this.#cutOff.at(this.#moments!), () => { this.#turns.bookings.whenAnswered(() => this.#grace()) })
  }

  #grace (): void {
    if (this.#cutOff.begun) return
    this.#work.waitForAll(this.#host.registry)
    this.#turns.begin(this.#moments!.lastFrameAt)
    this.#enter('grace')
    if (!this.#preClose.holding) this.#release()
    this.#step()
  }

  #release (): void {
    this.#turns.addAll()
    this.#wake()
  }

  /**
   * When work is no longer waited for. What closing the connections takes that still work, or are held back, is left then, but
   * work has half of the time.
   */
  get #graceEnd (): number {
    const { spread, plan, registry } = this.#host
    const { graceEnd, lastFrameAt } = this.#moments!
    if (typeof spread === 'number') return graceEnd
    const left = this.#preClose.holding ? registry.size : this.#turns.waiting
    return Math.min(graceEnd, lastFrameAt - Math.min(this.#turns.pace.toClose(left), (plan.grace + plan.spread) / 2))
  }

  #wake (): void {
    if (this.#stepping || this.#phase === 'notify' || this.#phase === 'done') return
    this.#stepping = true
    this.#host.clock.setImmediate(() => {
      this.#stepping = false
      this.#step()
    })
  }

  /** Does what is due; called after every event and at every moment of the plan. */
  #step (): void {
    if (this.#phase === 'settle') return this.#settle()
    if (this.#phase === 'notify' || this.#phase === 'done' || this.#cutOff.givingUp) return
    const { clock, registry } = this.#host
    const graceEnd = this.#graceEnd
    const { lastFrameAt, endAt } = this.#moments!
    const now = clock.now()
    if (now >= endAt) return this.#giveUp()
    const cutAt = this.#cutOff.at(this.#moments!)
    if (now >= cutAt) this.#cutOff.begin(endAt)
    if (now >= graceEnd) {
      // Fewer connections that work do not bring back grace.
      this.#moments!.graceEnd = graceEnd
      this.#preClose.letGo()
      this.#work.abandonAll()
    }
    const wake = this.#turns.pump()
    const waiting = this.#preClose.holding || this.#work.size > 0 || (registry.working > 0 && now < graceEnd)
    if (!waiting && registry.size === 0 && registry.late.size === 0) return this.#finish()
    this.#enter(waiting ? 'grace' : registry.size > registry.cleaning.size ? 'close' : 'cleanup')
    if (now >= this.#progressAt) this.#progress()
    if (wake === 'soon') return this.#wake()
    const next = [graceEnd, lastFrameAt, cutAt, endAt].find((moment) => moment > now)!
    this.#arm(Math.min(next, wake ?? Infinity, this.#turns.nextAt, this.#progressAt) - now)
  }

  #arm (delay: number): void {
    const { clock } = this.#host
    if (this.#timer !== null) clock.clearTimeout(this.#timer)
    // The timer wakes instead of stepping: input that has arrived is read first.
    this.#timer = clock.setTimeout(() => this.#wake(), Math.max(1, Math.ceil(delay)))
  }

  #giveUp (): void {
    this.#work.abandonAll()
    this.#cutOff.giveUp(this.#moments!.endAt, this.#builder.aborted, () => { this.#finish() })
  }

  #finish (): void {
    const { clock, events, registry, refuseHandshakes } = this.#host
    // Code of connections that are left does not send to each other either.
    if (registry.size === 0) this.#suppression?.end()
    if (this.#phase === 'done') return
    refuseHandshakes()
    if (this.#timer !== null) clock.clearTimeout(this.#timer)
    this.#enter('done')
    this.#unhook!()
    this.#turns.end()
    const report = this.#builder.toReport({ work: this.#work.counts, held: this.#holders.all, suppressed: this.#suppression?.count ?? 0 })
    events.emit('drained', report)
    this.#report.resolve(report)
  }

  #progress (): void {
    const { clock, registry, events, plan } = this.#host
    const now = clock.now()
    this.#progressAt = now + PROGRESS_INTERVAL
    events.emit('progress', {
      phase: this.#phase!,
      elapsed: Math.round(now - this.#startedAt),
      timeout: plan.timeout,
      connections: registry.size,
      working: this.#work.size,
      queued: this.#turns.pace.queued + this.#turns.waiting,
      closed: this.#builder.closedCount
    })
  }
}
