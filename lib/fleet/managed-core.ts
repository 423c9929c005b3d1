/**
 * The core of the fleet: the guarded engine, the membership, messages and questions, put together for the parts.
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { outside } from '../base/async-context.ts'
import { atMost } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import { SOCKETS_ERR_FLEET_UNAVAILABLE } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import { VERSION } from '../base/version.ts'
import type { Hooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Mover } from '../connection/mover.ts'
import type { Act } from '../track/audit.ts'
import type { FleetEvents } from '../track/fleet.ts'
import type { Registry } from '../track/registry.ts'
import { Ask } from './ask.ts'
import type { Answers, FleetCore, FleetPart, NodeView } from './core.ts'
import type { Beat, FleetEngine, Pulse } from './engine.ts'
import { BEAT_DEADLINE, CALL_DEADLINE, GuardedEngine } from './guarded-engine.ts'
import type { FleetHost } from './host.ts'
import { Membership } from './membership.ts'
import { Messages } from './messages.ts'
import { toPlain } from './remote-node.ts'

/** Longest part of the name of the host in the id of a node, characters. */
const MAX_HOST = 64
/** Least time that a question waits for answers, milliseconds: its caller has waited for something else before. */
const LEAST_WAIT = 50

type EmittedEvents = { [K in keyof FleetEvents]: [value: FleetEvents[K]] }

export class ManagedCore implements FleetCore {
  readonly node = `${hostname().slice(0, MAX_HOST)}-${process.pid}-${randomBytes(4).toString('hex')}`
  readonly clock: Clock
  readonly registry: Registry
  readonly hooks: Hooks<ManagedConnection>
  readonly mover: Mover<ManagedConnection>
  readonly reconnectRate: number
  readonly engine: GuardedEngine
  readonly events: Emitter<EmittedEvents>
  readonly #host: FleetHost
  readonly #messages: Messages
  readonly #membership: Membership
  readonly #ask: Ask
  /** Questions by outcome. */
  readonly questions = { complete: 0, incomplete: 0, failed: 0 }
  #parts: readonly FleetPart[] = []
  /** Resolves after the first beat; null before the start. */
  #firstBeat: Promise<void> | null = null
  #closed = false
  #lost = 0
  #downSince: number

  constructor (host: FleetHost, engine: FleetEngine) {
    const { clock, registry, hooks, mover, reconnectRate } = host
    this.#host = host
    this.clock = clock
    this.registry = registry
    this.hooks = hooks
    this.mover = mover
    this.reconnectRate = reconnectRate
    this.#downSince = clock.now()
    this.events = new Emitter<EmittedEvents>({ joined: 0, left: 0, lost: 0, up: 0, down: 0, online: 0, offline: 0 }, (error, event) => { host.listenerFailed(error, event) })
    this.engine = new GuardedEngine(engine, clock, {
      changed: (...change) => { this.#engineChanged(...change) },
      refused: () => { this.beat() }
    })
    this.#messages = new Messages(this.node, this.engine)
    this.#membership = new Membership({
      node: this.node,
      clock,
      engine: this.engine,
      messages: this.#messages,
      beat: () => this.#say(),
      beaten: (pulse) => { this.#beaten(pulse) },
      changed: (...change) => { this.#changed(...change) }
    })
    this.#ask = new Ask({ node: this.node, clock, messages: this.#messages, nodes: this.nodes })
  }

  get up (): boolean { return this.engine.up }
  get nodes (): ReadonlyMap<string, NodeView> { return this.#membership.nodes }
  get others (): readonly NodeView[] { return this.#membership.others }
  get ignored (): number { return this.#messages.ignored }
  /** Nodes whose lease this node has found ended. */
  get lost (): number { return this.#lost }

  /** Takes the parts, before the start. */
  take (parts: readonly FleetPart[]): void {
    this.#parts = parts
    for (const { hears, answers } of parts) {
      if (hears !== undefined) this.#messages.handle(hears)
      if (answers !== undefined) this.#ask.handle(answers)
    }
  }

  /** Joins the fleet. Resolves when the node has joined, or could not in time; it then goes on trying. */
  async start (): Promise<void> {
    this.#firstBeat ??= outside(() => this.#membership.start())
    await atMost(this.clock, this.#firstBeat, BEAT_DEADLINE)
    if (!this.up && !this.#closed) this.#host.reporter.startedAlone()
  }

  /** Leaves the fleet and ends the engine, within BEAT_DEADLINE. Never rejects. */
  async close (): Promise<void> {
    const end = this.clock.now() + BEAT_DEADLINE
    this.#closed = true
    // The engine has the time of one call to end.
    if (this.#firstBeat !== null) await atMost(this.clock, this.#leave(), BEAT_DEADLINE - CALL_DEADLINE)
    this.#membership.close()
    this.#tell((part) => { part.close?.() })
    await atMost(this.clock, this.engine.close(), end - this.clock.now())
  }

  async #leave (): Promise<void> {
    // If a part cannot write its last, the lease is left to end.
    await Promise.all(this.#parts.map(async (part) => { await part.leaving?.() }))
    await this.#membership.leave()
  }

  now (): number { return this.#membership.now() }
  beat (): void { this.#membership.beat() }
  send (to: readonly string[], type: string, body: object): Promise<void> { return this.#messages.send(to, type, body) }

  async ready (): Promise<void> {
    if (!this.up && this.#firstBeat !== null) await atMost(this.clock, this.#firstBeat, CALL_DEADLINE)
    if (!this.up) throw new SOCKETS_ERR_FLEET_UNAVAILABLE(this.#firstBeat === null ? 'this node has not joined yet' : 'it does not answer')
  }

  async ask<T> (type: string, body: object, to?: readonly string[], since = this.clock.now()): Promise<Answers<T>> {
    let outcome: keyof typeof this.questions = 'failed'
    try {
      await this.ready()
      const wait = Math.max(LEAST_WAIT, since + CALL_DEADLINE - this.clock.now())
      const answers = await this.#ask.ask<T>(type, body, to ?? [...this.nodes.keys()], wait)
      outcome = answers.missing.length === 0 ? 'complete' : 'incomplete'
      return answers
    } finally {
      this.questions[outcome]++
    }
  }

  emit<K extends keyof FleetEvents> (event: K, value: FleetEvents[K]): void {
    outside(() => {
      this.events.emit(event, ...[value] as EmittedEvents[K])
      this.#host.channels.publish(event, value)
    })
  }

  listens (event: keyof FleetEvents): boolean { return this.events.hears(event) || this.#host.channels.hears(event) }
  ignore (): void { this.#messages.ignore() }
  audit (act: Act): void { this.#host.audited(act) }

  /** Tells all parts. What one throws is logged, and reaches neither the others nor the beats. */
  #tell (tell: (part: FleetPart) => void): void {
    for (const part of this.#parts) attempt(() => { tell(part) }, (error) => { this.#host.reporter.failed(error) })
  }

  /** What this node says at a beat. */
  #say (): Omit<Beat, 'lease' | 'away'> {
    const draining = this.#host.draining()
    const info: Record<string, unknown> = { version: VERSION, state: draining ? 'draining' : 'running', connections: this.registry.size, expected: this.#host.expected() }
    const settled: string[] = []
    let capacity = this.reconnectRate
    this.#tell((part) => {
      Object.assign(info, part.info?.())
      settled.push(...part.settled?.() ?? [])
      capacity = part.capacity?.() ?? capacity
    })
    return { info: JSON.stringify(info), capacity: draining ? 0 : capacity, settled }
  }

  #engineChanged (up: boolean, error: unknown): void {
    this.#host.reporter.engine(up, error)
    const now = this.clock.now()
    if (up) this.emit('up', { duration: now - this.#downSince })
    else this.emit('down', { error })
    this.#downSince = now
  }

  #beaten (pulse: Pulse): void {
    this.#lost += pulse.lost.length
    if (pulse.joined) {
      this.#host.reporter.joined(this.node, pulse.nodes.length)
      this.#tell((part) => { part.joined?.() })
    }
    this.#tell((part) => { part.beaten?.(pulse) })
  }

  #changed (joined: readonly NodeView[], gone: readonly NodeView[], how: 'left' | 'lost', said = false): void {
    this.#host.reporter.changed(joined, gone, how, this.nodes.size)
    for (const node of gone) {
      this.#ask.gone(node.id, said, node.lastSeen)
      if (said) this.#tell((part) => { part.left?.(node) })
    }
    for (const node of joined) this.emit('joined', toPlain(node))
    for (const node of gone) this.emit(how, toPlain(node))
  }
}
