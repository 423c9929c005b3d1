/**
 * The engine in memory: a fleet of the applications in one process, or of one node.
 *
 * It is the shortest full account of what an engine does: each method of MemoryFleet is one step on plain Maps, and is what
 * the Redis engine does in one script. It has no timer, and reads its clock only when it is called.
 */
import type { Ticker } from '../base/clock.ts'
import { LocalHandoverStore } from '../move/handover-store.ts'
import { Calendar } from './arrivals-calendar.ts'
import type {
  Beat, Booking, FleetEngine, LabelCount, NodeRecord, PlacesAsked, PlacesGiven, PresenceChange, Pulse, Turns, Whereabouts
} from './engine.ts'

/** Owners told to be offline by one beat, at most. */
const MAX_OFFLINE = 1000

/** Between two calls that tell changes, milliseconds, at least. */
const LEAST_TIME = 0.001

type Hear = (message: string) => void

/** What one member has written. */
class Member {
  info = ''
  capacity = 0
  beatAt = 0
  lease = 0
  leaseEnd = 0
  readonly owner = new Map<string, number>()
  readonly tag = new Map<string, number>()
  readonly places = new Map<string, { count: number, oldest: number | null }>()
  readonly inbox = new Map<string, string>()
}

/** What nodes in one process share. */
export class MemoryFleet {
  readonly handovers: LocalHandoverStore
  readonly #clock: Ticker
  readonly #members = new Map<string, Member>()
  readonly #listeners = new Map<string, Hear>()
  /** Owner → until when it stays online without connections. */
  readonly #away = new Map<string, number>()
  #calendar = new Calendar()
  #lastTime = -Infinity

  constructor (clock: Ticker) {
    this.#clock = clock
    this.handovers = new LocalHandoverStore(clock)
  }

  /** Makes the engine of one node. */
  engine (): FleetEngine { return new MemoryEngine(this) }

  /** Number of things that are kept; the calendar forgets what is past when it is next used. */
  get size (): number {
    return this.#members.size + this.#away.size + this.#calendar.size + this.handovers.size
  }

  /** Forgets what nodes have written, as an engine that has restarted empty. */
  clear (): void {
    this.#members.clear()
    this.#away.clear()
    this.#calendar = new Calendar()
  }

  /** Begins to deliver messages to a node; returns what ends it. */
  listen (node: string, hear: Hear): () => void {
    // A new function each time: the same `hear` may listen again, and the end of the first one must not end the second.
    const listener: Hear = (message) => { hear(message) }
    this.#listeners.set(node, listener)
    return () => { if (this.#listeners.get(node) === listener) this.#listeners.delete(node) }
  }

  beat (node: string, { info, capacity, lease, settled, away }: Beat): Pulse {
    const now = this.#clock.now()
    const unreachable = now - Math.max(0, ...Array.from(this.#members.values(), ({ beatAt }) => beatAt)) >= lease
    const joined = !this.#members.has(node)
    if (joined) this.#members.set(node, new Member())
    const member = this.#members.get(node)!
    Object.assign(member, { info, capacity, beatAt: now, lease, leaseEnd: now + lease })
    for (const id of settled) member.inbox.delete(id)
    if (unreachable) this.#beginAnew(now, lease)
    const lost = [...this.#members].filter(([, { leaseEnd }]) => leaseEnd <= now)
    for (const [id, gone] of lost) this.#remove(id, gone, now + away)
    return {
      now: this.#time(),
      joined,
      nodes: [...this.#members].map((entry) => record(entry, now)),
      lost: lost.map((entry) => record(entry, now)),
      orders: [...member.inbox],
      offline: this.#endAway(now)
    }
  }

  leave (node: string): void {
    const member = this.#members.get(node)
    if (member !== undefined) this.#remove(node, member, this.#clock.now())
  }

  /** Delivers later, as a network does, to nodes that listen now and still do then. */
  send (nodes: readonly string[], message: string): void {
    for (const node of nodes) {
      const hear = this.#listeners.get(node)
      if (hear !== undefined) this.#clock.setImmediate(() => { if (this.#listeners.get(node) === hear) hear(message) })
    }
  }

  order (node: string, id: string, order: string, notice: string): void {
    const member = this.#members.get(node)
    if (member === undefined) return
    if (!member.inbox.has(id)) member.inbox.set(id, order)
    this.send([node], notice)
  }

  label (node: string, counts: readonly LabelCount[]): PresenceChange {
    const member = this.#member(node)
    const online: string[] = []
    const offline: string[] = []
    for (const { kind, label, count, away } of counts) {
      const before = member[kind].get(label) ?? 0
      const wasOnline = kind === 'owner' && this.#isOnline(label)
      if (count > 0) member[kind].set(label, count)
      else member[kind].delete(label)
      if (kind === 'tag') continue
      if (count > before) this.#away.delete(label)
      if (away > 0) this.#expect(label, this.#clock.now() + away)
      if (this.#isOnline(label) !== wasOnline) (wasOnline ? offline : online).push(label)
    }
    return { at: this.#time(), online, offline }
  }

  find (kind: LabelCount['kind'], label: string): Whereabouts {
    const nodes = [...this.#members].flatMap(([id, member]) => {
      const count = member[kind].get(label)
      return count === undefined ? [] : [[id, count] as const]
    })
    const until = kind === 'owner' && nodes.length === 0 ? this.#away.get(label) : undefined
    return { nodes, expectedBack: until === undefined ? null : Math.max(0, until - this.#clock.now()) }
  }

  take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] {
    const { places } = this.#member(node)
    return asked.map(({ key, have, want, max, oldest }) => {
      places.delete(key)
      const others = this.#holders(key).reduce((sum, [, { count }]) => sum + count, 0)
      const given = Math.max(0, Math.min(want, max - others - have))
      if (have + given > 0) places.set(key, { count: have + given, oldest })
      return { given, oldestAt: given < want ? this.#oldestAt(key) : null }
    })
  }

  book (node: string, booking: Booking): Turns {
    const member = this.#member(node)
    if (booking.leaves) member.capacity = 0
    const capacity = [...this.#members.values()].reduce((sum, { capacity }) => sum + capacity, 0)
    return this.#calendar.book(node, booking, this.#clock.now(), capacity)
  }

  /** Returns the time, later than the last one that was asked for. */
  #time (): number { return (this.#lastTime = Math.max(this.#clock.now(), this.#lastTime + LEAST_TIME)) }

  #member (node: string): Member {
    const member = this.#members.get(node)
    if (member === undefined) throw new Error(`node ${node} is no member of the fleet: it must beat first`)
    return member
  }

  #remove (node: string, { owner }: Member, awayUntil: number): void {
    this.#members.delete(node)
    for (const label of owner.keys()) this.#expect(label, awayUntil)
  }

  /** No node could beat: leases and times away that have ended begin once more. */
  #beginAnew (now: number, lease: number): void {
    for (const member of this.#members.values()) if (member.leaseEnd <= now) member.leaseEnd = now + member.lease
    for (const [owner, until] of this.#away) if (until <= now) this.#away.set(owner, now + lease)
  }

  #isOnline (owner: string): boolean { return this.#away.has(owner) || this.#isConnected(owner) }

  #isConnected (owner: string): boolean {
    return [...this.#members.values()].some((member) => member.owner.has(owner))
  }

  #expect (owner: string, until: number): void {
    this.#away.set(owner, Math.max(until, this.#away.get(owner) ?? until))
  }

  /** Ends times away; returns owners that have not come back. */
  #endAway (now: number): string[] {
    const offline: string[] = []
    for (const [owner, until] of this.#away) {
      if (offline.length === MAX_OFFLINE) break
      if (until > now) continue
      this.#away.delete(owner)
      if (!this.#isConnected(owner)) offline.push(owner)
    }
    return offline
  }

  #holders (key: string): Array<[node: string, places: { count: number, oldest: number | null }]> {
    return [...this.#members].flatMap(([id, { places }]) => places.has(key) ? [[id, places.get(key)!]] : [])
  }

  #oldestAt (key: string): string | null {
    const evictable = this.#holders(key).filter(([, { oldest }]) => oldest !== null)
    return evictable.sort(([, a], [, b]) => a.oldest! - b.oldest!)[0]?.[0] ?? null
  }
}

function record ([id, { info, capacity, beatAt }]: [string, Member], now: number): NodeRecord {
  return { id, info, capacity, silent: now - beatAt }
}

/** The engine of one node. Every call is carried out at once; its answer comes later. */
class MemoryEngine implements FleetEngine {
  readonly #fleet: MemoryFleet
  #closed = false
  #stop: (() => void) | null = null

  constructor (fleet: MemoryFleet) { this.#fleet = fleet }

  get handovers (): LocalHandoverStore { return this.#fleet.handovers }

  async listen (node: string, hear: Hear): Promise<void> {
    const fleet = this.#open()
    this.#stop?.()
    this.#stop = fleet.listen(node, hear)
  }

  async beat (node: string, beat: Beat): Promise<Pulse> { return this.#open().beat(node, beat) }
  async leave (node: string): Promise<void> { this.#open().leave(node) }
  async send (nodes: readonly string[], message: string): Promise<void> { this.#open().send(nodes, message) }
  async order (node: string, id: string, order: string, notice: string): Promise<void> { this.#open().order(node, id, order, notice) }
  async label (node: string, counts: readonly LabelCount[]): Promise<PresenceChange> { return this.#open().label(node, counts) }
  async find (kind: LabelCount['kind'], label: string): Promise<Whereabouts> { return this.#open().find(kind, label) }
  async take (node: string, asked: readonly PlacesAsked[]): Promise<PlacesGiven[]> { return this.#open().take(node, asked) }
  async book (node: string, booking: Booking): Promise<Turns> { return this.#open().book(node, booking) }

  async close (): Promise<void> {
    this.#closed = true
    this.#stop?.()
  }

  #open (): MemoryFleet {
    if (this.#closed) throw new Error('the engine of the fleet is closed')
    return this.#fleet
  }
}
