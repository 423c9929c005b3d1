/**
 * The drain: settle → stop admitting → notify → grace → close at a pace → cut off → clean up → report.
 *
 * One a tracker, one promise for all callers. It is driven by what connections do; its one timer only bounds the
 * waiting, so cooperative clients leave without it and a drain of nobody ends before `start` returns. Every moment is
 * counted back from the end of `timeout`: when late, spread shrinks first, then grace.
 */
import type { Cleanup } from '../connection/cleanups.ts'
import type { Timer } from '../base/clock.ts'
import type { CloseRecord } from '../connection/connection.ts'
import { NO_SUPPRESSION } from '../connection/suppression.ts'
import { deferred } from '../base/deferred.ts'
import { DRAIN_PHASES } from '../track/drain-report.ts'
import type { DrainPhase, DrainReport, DrainTrigger } from '../track/drain-report.ts'
import { nameOf } from '../base/guard.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { CutOff } from './cut-off.ts'
import type { DrainHost } from './host.ts'
import { CloseFrames } from './close-frame.ts'
import { notifyAll } from './notify.ts'
import { Pace } from './pace.ts'
import { momentsOf } from './plan.ts'
import type { DrainMoments } from './plan.ts'
import { PreClose } from './pre-close.ts'
import { PROGRESS_INTERVAL, settle } from './settle.ts'
import { DrainSuppression } from './suppression.ts'
import { ReportBuilder } from './report-builder.ts'

export class Drain {
  readonly #host: DrainHost
  readonly #report = deferred<DrainReport>()
  readonly #pace: Pace
  readonly #preClose: PreClose
  /** Who works, and since when that is waited for. */
  readonly #working = new Map<ManagedConnection, number>()
  #builder: ReportBuilder | null = null
  #suppression: DrainSuppression | null = null
  #closeFrames: CloseFrames | null = null
  #cutOff: CutOff | null = null
  #moments: DrainMoments | null = null
  #phase: DrainPhase | null = null
  #startedAt = 0
  #progressAt = 0
  #timer: Timer | null = null
  /** Ends the settling. */
  #settling: (() => void) | null = null
  #stepping = false
  /** Takes the drain off the hooks of connections. */
  #unhook: (() => void) | null = null

  constructor (host: DrainHost) {
    this.#host = host
    this.#pace = new Pace(host.clock, host.random, (connection) => !this.#await(connection),
      (connection, index) => this.#closeFrames!.send(connection, index))
    this.#preClose = new PreClose(host, () => { if (this.#phase !== 'notify' && !this.#cutOff!.begun) this.#release() })
  }

  get phase (): DrainPhase | null { return this.#phase }
  get finished (): Promise<DrainReport> { return this.#report.promise }

  /** Starts the drain, or joins the one under way; `close` cuts the settling short. Never rejects. */
  start (trigger: DrainTrigger): Promise<DrainReport> {
    if (this.#phase === null) this.#begin(trigger)
    else if (trigger === 'close') this.#stop()
    return this.finished
  }

  /** Runs a user's preClose in *notify*: frames wait for it, until grace ends. Later it is called at once; returns its promise. */
  preClose (hook: () => unknown): unknown {
    if (this.#phase !== null && this.#phase !== 'settle') return this.#preClose.call(hook)
    this.#preClose.give(hook)
    return undefined
  }

  /** Cuts everything short: raw sockets are destroyed, cleanups get one turn of the event loop. */
  abort (): void {
    if (this.#phase === null || this.#phase === 'done') return
    this.#builder!.aborted = true
    this.#stop()
    this.#giveUp()
  }

  /** A handshake that was under way was accepted after all; it may close before it is announced. */
  accepted (): void {
    this.#builder!.total++
  }

  /** It has opened: it is closed with the others. */
  admitted (connection: ManagedConnection): void {
    if (this.#phase === 'settle') return
    if (this.#phase === 'done' || this.#cutOff!.begun) return this.#closeFrames!.send(connection, this.#builder!.total)
    connection.startDraining()
    // While frames are held it is released with the others.
    if (this.#phase !== 'notify' && !this.#preClose.holding) this.#pace.add([connection])
    this.#wake()
  }

  // ——— what connections tell

  lateCleanupsSettled (): void { this.#wake() }

  workEnded (connection: ManagedConnection): void {
    this.#builder!.workEnded(connection)
    if (this.#stopWaiting(connection) && !this.#preClose.holding && this.#phase !== 'notify') this.#pace.add([connection])
    this.#wake()
  }

  left (connection: ManagedConnection): void {
    // Its work may end now only because nobody is there any more.
    if (this.#stopWaiting(connection)) this.#builder!.abandonedWork++
  }

  answered (connection: ManagedConnection): void {
    this.#pace.answered(connection)
    this.#wake()
  }

  gone (connection: ManagedConnection): void { this.answered(connection) }

  closed (connection: ManagedConnection, record: CloseRecord): void {
    if (this.#stopWaiting(connection)) this.#builder!.abandonedWork++
    this.#builder!.closed(record, connection.working)
    this.#wake()
  }

  cleanupTook (connection: ManagedConnection, cleanup: Cleanup, duration: number): void {
    this.#builder!.holders.addCleanup(connection, cleanup, duration)
  }

  cleanupAbandoned (connection: ManagedConnection, cleanup: Cleanup): void {
    this.#builder!.abandoned.push({ connection: connection.id, route: connection.route, cleanup: nameOf(cleanup) })
  }

  // ——— phases

  #begin (trigger: DrainTrigger): void {
    const { clock, hooks, registry, events, plan } = this.#host
    this.#unhook = hooks.add(this, 'workEnded', 'left', 'answered', 'gone', 'closed', 'cleanupTook', 'cleanupAbandoned', 'lateCleanupsSettled')
    this.#startedAt = clock.now()
    this.#moments = momentsOf(plan, this.#startedAt)
    this.#builder = new ReportBuilder(this.#host, trigger)
    if (!this.#host.farewells) this.#host.suppression = this.#suppression = new DrainSuppression()
    this.#closeFrames = new CloseFrames(this.#host, this.#builder)
    this.#cutOff = new CutOff(this.#host, this.#pace, this.#closeFrames)
    this.#enter('settle')
    events.emit('drain', { trigger, connections: registry.size, timeout: plan.timeout })
    // A listener may have closed the app.
    if (this.#phase !== 'settle') return
    if (trigger === 'close' || plan.settleDelay === 0) return this.#stop()
    this.#settling = settle(clock, plan.settleDelay, () => this.#progress(), () => this.#stop())
    this.#progress()
  }

  #enter (phase: DrainPhase): void {
    // Never back: whoever begins to work when most are closed does not make it grace again.
    if (this.#phase !== null && DRAIN_PHASES.indexOf(phase) <= DRAIN_PHASES.indexOf(this.#phase)) return
    this.#builder!.phaseEnded(this.#phase)
    this.#phase = phase
    if (phase !== 'settle') this.#progress()
  }

  #stop (): void {
    if (this.#phase !== 'settle') return
    const { clock, plan } = this.#host
    this.#settling?.()
    // Late: spread shrinks first, then grace.
    const { graceEnd, lastFrameAt } = this.#moments!
    this.#moments!.graceEnd = Math.min(lastFrameAt, Math.max(graceEnd, clock.now() + plan.grace))
    this.#enter('notify')
    this.#preClose.run()
    // Before they are told: what ends on its drainSignal was in flight, too.
    this.#awaitAll()
    notifyAll(this.#host, this.#moments!.graceEnd, () => this.#grace())
  }

  #open (): ManagedConnection[] {
    return this.#host.registry.snapshot().filter(({ state }) => state === 'open' || state === 'draining')
  }

  #awaitAll (): void {
    if (this.#host.registry.working > 0) for (const connection of this.#open()) this.#await(connection)
  }

  #grace (): void {
    if (this.#cutOff!.begun) return
    const { plan, evenly } = this.#host
    this.#awaitAll()
    this.#pace.start(evenly ? plan.spread / Math.max(1, this.#open().length) : 0, this.#moments!.lastFrameAt)
    this.#enter('grace')
    if (!this.#preClose.holding) this.#release()
    this.#step()
  }

  /** Lets the frames of idle connections go. */
  #release (): void {
    // Whoever closes already is left out when its turn has come; as a rule nobody has to be looked at here, of whom there may be many.
    const exact = this.#host.evenly || this.#working.size > 0
    this.#pace.add(exact ? this.#open().filter((connection) => !this.#working.has(connection)) : this.#host.registry.snapshot())
    this.#wake()
  }

  #await (connection: ManagedConnection): boolean {
    if (!connection.working || this.#host.clock.now() >= this.#moments!.graceEnd) return false
    if (!this.#working.has(connection)) this.#working.set(connection, this.#host.clock.now())
    this.#builder!.worked.add(connection.id)
    return true
  }

  /** Its work has ended, or is waited for no longer; false where it was not waited for. */
  #stopWaiting (connection: ManagedConnection): boolean {
    const since = this.#working.get(connection)
    if (since === undefined) return false
    this.#working.delete(connection)
    this.#builder!.holders.addWork(connection, this.#host.clock.now() - since)
    return true
  }

  #abandonWork (): void {
    for (const connection of [...this.#working.keys()]) {
      this.#stopWaiting(connection)
      this.#builder!.abandonedWork++
    }
  }

  #wake (): void {
    if (this.#stepping || this.#phase === 'settle' || this.#phase === 'notify' || this.#phase === 'done') return
    this.#stepping = true
    this.#host.clock.setImmediate(() => {
      this.#stepping = false
      this.#step()
    })
  }

  /** Does what is due; called whenever something has happened. */
  #step (): void {
    if (this.#phase === 'done' || this.#cutOff!.givingUp) return
    const { clock, registry } = this.#host
    const { graceEnd, lastFrameAt, endAt } = this.#moments!
    const now = clock.now()
    if (now >= endAt) return this.#giveUp()
    const cutAt = this.#cutOff!.at(this.#moments!)
    if (now >= cutAt) this.#cutOff!.begin(endAt)
    if (now >= graceEnd) {
      this.#preClose.letGo()
      this.#pace.add([...this.#working.keys()])
      this.#abandonWork()
    }
    const wake = this.#pace.pump()
    const waiting = this.#preClose.holding || this.#working.size > 0 || (registry.working > 0 && now < graceEnd)
    if (!waiting && registry.size === 0 && registry.late.size === 0) return this.#finish()
    this.#enter(waiting ? 'grace' : registry.size > registry.cleaning ? 'close' : 'cleanup')
    if (now >= this.#progressAt) this.#progress()
    if (wake === 'soon') return this.#wake()
    const next = [graceEnd, lastFrameAt, cutAt, endAt].find((moment) => moment > now)!
    this.#arm(Math.min(next, wake ?? Infinity, this.#progressAt) - now)
  }

  #arm (delay: number): void {
    const { clock } = this.#host
    if (this.#timer !== null) clock.clearTimeout(this.#timer)
    // Not at once: what has arrived meanwhile is read first.
    this.#timer = clock.setTimeout(() => this.#wake(), Math.max(1, Math.ceil(delay)))
  }

  /** The time is up. */
  #giveUp (): void {
    if (this.#cutOff!.givingUp || this.#phase === 'done') return
    this.#abandonWork()
    this.#cutOff!.giveUp(this.#builder!.aborted, () => { this.#finish() })
  }

  #finish (): void {
    const { clock, events, refuseHandshakes } = this.#host
    refuseHandshakes()
    if (this.#timer !== null) clock.clearTimeout(this.#timer)
    this.#timer = null
    this.#enter('done')
    this.#unhook!()
    this.#host.suppression = NO_SUPPRESSION
    this.#pace.clear()
    const report = this.#builder!.toReport(this.#suppression?.end() ?? 0)
    events.emit('drained', report)
    this.#report.resolve(report)
  }

  #progress (): void {
    const { clock, registry, events, plan } = this.#host
    const now = clock.now()
    this.#progressAt = now + PROGRESS_INTERVAL
    events.emit('progress', {
      phase: this.#phase!,
      elapsed: now - this.#startedAt,
      timeout: plan.timeout,
      connections: registry.size,
      working: this.#working.size,
      queued: this.#pace.queued,
      closed: this.#builder!.count
    })
  }
}
