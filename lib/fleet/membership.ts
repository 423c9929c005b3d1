/**
 * The membership of this node: its beats, and the view of the others that each of them gives.
 *
 * Every beat renews the lease. A beat that finds the node gone joins it anew: it was frozen for longer than its lease, or the engine
 * has lost what it had. A node that no longer hears the message that it sends to itself with each beat listens anew.
 */
import { atMost } from '../base/clock.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { NodeView } from './core.ts'
import type { Beat, Pulse } from './engine.ts'
import { CALL_DEADLINE } from './guarded-engine.ts'
import type { GuardedEngine } from './guarded-engine.ts'
import type { Messages } from './messages.ts'
import { readNode } from './remote-node.ts'

/** Time between two beats, milliseconds. */
export const BEAT_INTERVAL = 2_000
/** Length of a lease, milliseconds. */
export const LEASE = 6_000
/** Time for which owners are expected back after their node was lost, or after the delay that their client was told, milliseconds. */
export const RETURN = 15_000
/** Least time between two beats, milliseconds. */
const LEAST_INTERVAL = CALL_DEADLINE
/** A node that is gone so soon after its last beat has left: the lease of one that is lost would not have ended. Milliseconds. */
const LEFT_WITHIN = LEASE - BEAT_INTERVAL
/** After the engine was away, or has lost what it had, the other nodes join anew in their next beat: until then none is taken for lost. */
const PATIENCE = 1.5 * BEAT_INTERVAL

/** What the membership needs. */
export interface MembershipHost {
  readonly node: string
  readonly clock: Clock
  readonly engine: GuardedEngine
  readonly messages: Messages
  /** What the node says at a beat. */
  beat (): Omit<Beat, 'lease' | 'away'>
  /** A beat was answered. */
  beaten (pulse: Pulse): void
  /** The nodes are others than before. `said`: those that are gone have said that they leave. */
  changed (joined: readonly NodeView[], gone: readonly NodeView[], how: 'left' | 'lost', said?: boolean): void
}

export class Membership {
  readonly #host: MembershipHost
  readonly #nodes = new Map<string, NodeView>()
  /** Nodes that have said that they leave, until a beat no longer shows them. */
  readonly #left = new Set<string>()
  #timer: Timer | null = null
  #state: 'new' | 'running' | 'leaving' | 'closed' = 'new'
  /** The beat under way. */
  #beating: Promise<void> | null = null
  /** A beat was asked for during another one. */
  #again = false
  #begunAt = -Infinity
  #answeredAt = -Infinity
  #patientUntil = -Infinity
  /** Time of the engine less that of the clock. */
  #offset = 0
  #listening = false
  /** Number of the last message to itself that was sent, when, and number of the last that was heard. */
  #probe = 0
  #probedAt = -Infinity
  #heard = 0

  constructor (host: MembershipHost) {
    this.#host = host
    host.messages.handle({
      probe: (body, from) => { if (from === host.node) this.#heard = (body as { probe: number }).probe },
      left: (_body, from) => { this.#leaves(from) },
      // The node is new, or the engine has lost what it had: this node sees it, or joins anew, now and not with its next beat.
      joined: () => { this.beat() }
    })
    const { info, capacity } = host.beat()
    this.#nodes.set(host.node, readNode({ id: host.node, info, capacity, silent: 0 }, host.clock, true))
  }

  get nodes (): ReadonlyMap<string, NodeView> { return this.#nodes }
  get others (): NodeView[] { return [...this.#nodes.values()].filter(({ self }) => !self) }

  /** Time of the engine. */
  now (): number { return this.#host.clock.now() + this.#offset }

  /** Listens, and beats from now on. Resolves when the first beat has been answered or has failed. */
  async start (): Promise<void> {
    if (this.#state !== 'new') return
    this.#state = 'running'
    await this.#begin()
  }

  /** Beats at once, or as soon as the last beat is LEAST_INTERVAL old. */
  beat (): void {
    if (!this.#runs) return
    if (this.#beating !== null) this.#again = true
    else this.#arm(LEAST_INTERVAL)
  }

  /** Ends the beats. */
  close (): void { this.#end('closed') }

  /** Ends the beats, and leaves. */
  async leave (): Promise<void> {
    const { node, clock, engine, messages } = this.#host
    this.#end('leaving')
    // The engine tells an owner's change to one node: what the beat under way is told would be lost.
    if (this.#beating !== null) await atMost(clock, this.#beating, CALL_DEADLINE)
    this.close()
    // The message first: to the others, a node that is gone without it is lost.
    await messages.send(this.others.map(({ id }) => id), 'left', {}).catch(() => {})
    await engine.leave(node).catch(() => {})
  }

  get #runs (): boolean { return this.#state === 'running' }

  #end (state: 'leaving' | 'closed'): void {
    this.#state = state
    if (this.#timer !== null) this.#host.clock.clearTimeout(this.#timer)
    this.#timer = null
  }

  /** Sets the timer of the next beat, `interval` after the last one began. */
  #arm (interval: number): void {
    const { clock } = this.#host
    if (this.#timer !== null) clock.clearTimeout(this.#timer)
    this.#timer = clock.setTimeout(() => {
      this.#timer = null
      void this.#begin()
    }, Math.max(0, this.#begunAt + interval - clock.now()))
    this.#timer.unref()
  }

  async #begin (): Promise<void> {
    this.#beating = this.#beat()
    await this.#beating
    this.#beating = null
    if (this.#runs) this.#arm(this.#again ? LEAST_INTERVAL : BEAT_INTERVAL)
  }

  async #beat (): Promise<void> {
    const { node, clock, engine } = this.#host
    this.#again = false
    this.#begunAt = clock.now()
    if (this.#isDeaf) await this.#listen()
    // A beat after the end would join again.
    if (!this.#runs) return
    const sentAt = clock.now()
    const pulse = await engine.beat(node, { ...this.#host.beat(), lease: LEASE, away: RETURN }).catch(() => null)
    if (pulse !== null && this.#state !== 'closed') this.#answered(pulse, sentAt)
  }

  /** Whether the last message to itself that was sent should have been heard. */
  get #isDeaf (): boolean { return !this.#listening || (this.#probe > this.#heard && this.#host.clock.now() - this.#probedAt >= CALL_DEADLINE) }

  async #listen (): Promise<void> {
    const { node, engine, messages } = this.#host
    const hear = (text: string) => { if (this.#runs) messages.hear(text) }
    this.#heard = this.#probe
    this.#listening = await engine.listen(node, hear).then(() => true, () => false)
  }

  /** Sends a message to itself. */
  #sendProbe (): void {
    const { node, clock, messages } = this.#host
    const probe = this.#probe + 1
    messages.send([node], 'probe', { probe }).then(() => {
      this.#probe = probe
      this.#probedAt = clock.now()
    }, () => {})
  }

  #answered (pulse: Pulse, sentAt: number): void {
    const { clock, messages } = this.#host
    const now = clock.now()
    const first = this.#answeredAt === -Infinity
    if (pulse.joined || now - this.#answeredAt > LEASE) this.#patientUntil = now + PATIENCE
    this.#answeredAt = now
    // Exact to half of the time that the beat took: one that was slow changes nothing that is known better.
    const [offset, error] = [pulse.now - (sentAt + now) / 2, (now - sentAt) / 2]
    this.#offset = first ? offset : Math.min(offset + error, Math.max(offset - error, this.#offset))
    this.#sendProbe()
    this.#look(pulse, first)
    if (pulse.joined) messages.send(this.others.map(({ id }) => id), 'joined', {}).catch(() => {})
  }

  /** Takes over the nodes of a pulse. */
  #look (pulse: Pulse, first: boolean): void {
    const { node, clock } = this.#host
    const joined: NodeView[] = []
    const present = new Set<string>()
    for (const record of pulse.nodes) {
      present.add(record.id)
      if (this.#left.has(record.id)) continue
      const known = this.#nodes.get(record.id)
      const next = readNode(record, clock, record.id === node)
      this.#nodes.set(record.id, next)
      if (known === undefined && !first) joined.push(next)
    }
    for (const id of this.#left) if (!present.has(id)) this.#left.delete(id)
    const gone = clock.now() < this.#patientUntil ? [] : this.others.filter(({ id }) => !present.has(id))
    for (const { id } of gone) this.#nodes.delete(id)
    this.#host.beaten(pulse)
    // What a node says when it leaves may arrive after this beat, or not at all. It may also be about to join anew: what it had written
    // is being removed, after a failover.
    const left = gone.filter(({ id, lastSeen }) => lastSeen < LEFT_WITHIN && !pulse.lost.some((lost) => lost.id === id))
    const lost = gone.filter((node) => !left.includes(node))
    if (left.length > 0) this.#host.changed([], left, 'left')
    if (joined.length + lost.length > 0) this.#host.changed(joined, lost, 'lost')
  }

  /** A node has said that it leaves. */
  #leaves (id: string): void {
    const node = this.#nodes.get(id)
    if (node === undefined || node.self) return
    this.#nodes.delete(id)
    // A beat that is under way may still show it.
    this.#left.add(id)
    this.#host.changed([], [node], 'left', true)
  }
}
