/**
 * Tells the engine how many connections this node has of each owner and with each tag.
 *
 * A connection counts until it closes, or until its client has moved to a new one. Counts are absolute, and go out in batches: at once
 * when the last call is some time ago, else what has changed meanwhile together. One call is under way at a time. A call that has
 * failed is made again after the next beat; a node that joins anew writes all its counts again. No connection waits for any of this.
 */
import { isClosing } from '../connection/connection.ts'
import type { ConnectionHooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { CallPause } from './call-pause.ts'
import type { FleetCore, FleetPart } from './core.ts'
import type { LabelCount, PresenceChange, Pulse } from './engine.ts'
import { RETURN } from './membership.ts'
import { timeAway } from './time-away.ts'

/** After the engine has lost its data, all nodes have joined anew and written their counts within this time, milliseconds: two beats. */
const REBUILD = 4_000

/** Most counts of one call. */
const BATCH = 1_000

/** Number of owners who are away above which those whose time is over are forgotten between two beats, too. */
const MANY_AWAY = 1_000

/** Counts of one kind. */
interface Kind {
  readonly kind: LabelCount['kind']
  readonly counts: Map<string, number>
  /** Labels whose count was not written since it has changed; whether the engine has had no count of it. */
  readonly changed: Map<string, boolean>
}

/** Counts of one call. */
interface Batch {
  readonly counts: LabelCount[]
  /** Index of the first one that is written only because the node has joined anew. */
  readonly again: number
  /** Owners that have come and gone since the call before; null: none. */
  readonly passed: ReadonlySet<string> | null
}

export class FleetLabels implements FleetPart, Partial<ConnectionHooks<ManagedConnection>> {
  readonly #core: FleetCore
  readonly #told: (change: PresenceChange) => void
  readonly #unhook: () => void
  readonly #pause: CallPause
  readonly #owners: Kind = { kind: 'owner', counts: new Map(), changed: new Map() }
  readonly #tags: Kind = { kind: 'tag', counts: new Map(), changed: new Map() }
  /** Owners whose clients are expected back, and until when. */
  readonly #away = new Map<string, number>()
  /** Size of it at which it is looked through. */
  #maxAway = MANY_AWAY
  /** Connections that do not count, because their client has moved. */
  readonly #moved = new Set<ManagedConnection>()
  /** Counts that are written again; null if there are none. */
  #rewrite: Iterator<readonly [Kind, string], undefined> | null = null
  /** Whether nodes and the application know the owners that are written again to be online. */
  #known = false
  /** Until when the engine may not know yet where else an owner is, because it has lost its data. */
  #rebuiltAt = -Infinity
  /** When the engine has last answered a beat while the node was a member. */
  #beatenAt = -Infinity
  /** Whether a call waits for the next beat: the node is no member yet, or the last call has failed. */
  #waits = true
  /** Resolves when nothing is left to write, or a call has failed. */
  #writing: Promise<void> | null = null

  /** `told` gets what the engine says about owners. Reads the connections that there are. */
  constructor (core: FleetCore, told: (change: PresenceChange) => void) {
    this.#core = core
    this.#pause = new CallPause(core.clock)
    this.#told = told
    this.#unhook = core.hooks.add(this, 'ownerSet', 'tagged', 'untagged', 'moved', 'closing')
    core.registry.visit((connection) => {
      if (isClosing(connection.state)) return true
      if (connection.host.mover.moved(connection)) this.#moved.add(connection)
      else this.#add(connection)
      return true
    })
  }

  /** Number of labels and connections that are kept, for tests that none is left. */
  get size (): number {
    return [this.#owners, this.#tags].reduce((sum, { counts, changed }) => sum + counts.size + changed.size, this.#moved.size + this.#away.size)
  }

  // ——— hooks of connections

  ownerSet (connection: ManagedConnection, owner: string | undefined, previous: string | undefined): boolean {
    if (owner === previous || !this.#counts(connection)) return true
    if (previous !== undefined) this.#count(this.#owners, previous, -1)
    if (owner !== undefined) this.#count(this.#owners, owner, 1)
    return true
  }

  tagged (connection: ManagedConnection, tag: string): void {
    if (this.#counts(connection)) this.#count(this.#tags, tag, 1)
  }

  untagged (connection: ManagedConnection, tag: string): void {
    if (this.#counts(connection)) this.#count(this.#tags, tag, -1)
  }

  moved (connection: ManagedConnection): void {
    this.#moved.add(connection)
    // The node of the new connection may write later than this one.
    this.#remove(connection, RETURN)
  }

  closing (connection: ManagedConnection): void {
    if (!this.#moved.delete(connection)) this.#remove(connection, timeAway(connection))
  }

  // ——— events of the fleet

  joined (): void {
    const now = this.#core.clock.now()
    // If the node was a member a moment ago, the engine has lost its data: no node has told that these owners are offline.
    this.#known = now - this.#beatenAt < RETURN
    this.#beatenAt = now
    if (this.#known) this.#rebuiltAt = now + REBUILD
    const { counts, changed } = this.#owners
    for (const owner of this.#away.keys()) changed.set(owner, changed.get(owner) ?? false)
    // The engine does not know that these were online, and could not tell that they are not: they are away for a while.
    if (this.#known) for (const owner of changed.keys()) if (!counts.has(owner)) this.#expect(owner, RETURN)
    this.#rewrite = this.#all()
    this.#resume()
  }

  beaten ({ joined }: Pulse): void {
    const now = this.#core.clock.now()
    if (!joined) this.#beatenAt = now
    this.#endAway()
    if (this.#beatenAt !== -Infinity) this.#resume()
  }

  /** Resolves when all counts are written; rejects if they cannot be. */
  async leaving (): Promise<void> {
    this.#pause.end()
    await this.#writing
    if (this.#waits) this.#resume()
    await this.#writing
    if (this.#waits) throw new Error('the counts of this node were not written')
  }

  close (): void {
    this.#unhook()
    this.#waits = true
    this.#pause.end()
  }

  // ——— counting

  #counts (connection: ManagedConnection): boolean { return !isClosing(connection.state) && !this.#moved.has(connection) }

  #add ({ owner, tags }: ManagedConnection): void {
    if (owner !== undefined) this.#count(this.#owners, owner, 1)
    for (const tag of tags) this.#count(this.#tags, tag, 1)
  }

  #remove ({ owner, tags }: ManagedConnection, away: number): void {
    if (owner !== undefined) this.#count(this.#owners, owner, -1, away)
    for (const tag of tags) this.#count(this.#tags, tag, -1)
  }

  #count (kind: Kind, label: string, by: 1 | -1, told = 0): void {
    const before = kind.counts.get(label) ?? 0
    const count = before + by
    if (count === 0) kind.counts.delete(label)
    else kind.counts.set(label, count)
    // The owner is back.
    if (by === 1 && kind === this.#owners && this.#away.size > 0) this.#away.delete(label)
    const away = by === -1 && kind === this.#owners && this.#core.clock.now() < this.#rebuiltAt ? Math.max(told, RETURN) : told
    if (away > 0) this.#expect(label, away)
    const isNew = kind.changed.get(label) ?? before === 0
    // In an outage of hours, owners come and go that the engine need never know.
    if (isNew && count === 0 && away === 0) kind.changed.delete(label)
    else kind.changed.set(label, isNew)
    this.#begin()
  }

  #expect (owner: string, away: number): void {
    this.#away.set(owner, Math.max(this.#away.get(owner) ?? 0, this.#core.clock.now() + away))
    // In an outage no beat is answered.
    if (this.#away.size <= this.#maxAway) return
    this.#endAway()
    this.#maxAway = Math.max(MANY_AWAY, 2 * this.#away.size)
  }

  /** Forgets times away that are over, and with them owners that the engine has never known. */
  #endAway (): void {
    const { counts, changed } = this.#owners
    const now = this.#core.clock.now()
    for (const [owner, until] of this.#away) {
      if (until > now) continue
      this.#away.delete(owner)
      if (!counts.has(owner) && changed.get(owner) === true) changed.delete(owner)
    }
  }

  // ——— writing

  #resume (): void {
    this.#waits = false
    this.#begin()
  }

  #begin (): void { if (this.#writing === null && this.#hasMore) this.#writing = this.#write() }

  async #write (): Promise<void> {
    const { engine, node } = this.#core
    while (this.#hasMore) {
      await this.#pause.wait()
      // A call would not be made: what has changed is news to the engine as before.
      if (!this.#core.up) this.#waits = true
      const batch = this.#waits ? null : this.#take()
      if (batch === null) continue
      try {
        this.#tell(batch, await engine.label(node, batch.counts))
      } catch {
        this.#waits = true
        this.#putBack(batch)
      }
    }
    this.#writing = null
  }

  /** Whether there is something to write, and no call waits for the next beat. */
  get #hasMore (): boolean { return !this.#waits && (this.#owners.changed.size > 0 || this.#tags.changed.size > 0 || this.#rewrite !== null) }

  /** Takes the counts of the next call; null if there are none. */
  #take (): Batch | null {
    const counts: LabelCount[] = []
    let passed: Set<string> | null = null
    for (const kind of [this.#owners, this.#tags]) {
      for (const [label, isNew] of kind.changed) {
        if (counts.length === BATCH) break
        kind.changed.delete(label)
        const item = this.#toCount(kind, label)
        counts.push(item)
        if (isNew && item.count === 0) (passed ??= new Set()).add(label)
      }
    }
    const again = counts.length
    while (this.#rewrite !== null && counts.length < BATCH) {
      const { value } = this.#rewrite.next()
      if (value === undefined) this.#rewrite = null
      else counts.push(this.#toCount(...value))
    }
    if (counts.length === 0) return null
    // A part of many is followed by the next at once.
    if (counts.length < BATCH) this.#pause.begin()
    return { counts, again, passed }
  }

  #toCount ({ kind, counts }: Kind, label: string): LabelCount {
    const until = kind === 'owner' && this.#away.size > 0 ? this.#away.get(label) : undefined
    return { kind, label, count: counts.get(label) ?? 0, away: until === undefined ? 0 : Math.max(0, until - this.#core.clock.now()) }
  }

  * #all (): Generator<readonly [Kind, string], undefined> {
    for (const kind of [this.#owners, this.#tags]) for (const label of kind.counts.keys()) yield [kind, label]
  }

  #putBack ({ counts, again }: Batch): void {
    for (const { kind, label } of counts.slice(0, again)) {
      // The call may have been carried out.
      (kind === 'owner' ? this.#owners : this.#tags).changed.set(label, false)
    }
    if (again < counts.length) this.#rewrite = this.#all()
  }

  #tell ({ counts, again, passed }: Batch, { at, online, offline }: PresenceChange): void {
    if (online.length + offline.length === 0) return
    // Owners who are only away, or were known to be online before the engine has lost its data, are no news; but one that has come
    // and gone since the call before is. Others may be in the answer, too: an engine tells again what was in an answer that has been
    // lost.
    let known: Set<string> | null = null
    // Backwards: one that has changed while all were written again is in both parts, and news.
    for (let i = counts.length - 1; i >= 0 && online.length > 0; i--) {
      const { kind, label, count } = counts[i]!
      if (kind === 'tag') continue
      if (count > 0 ? i < again || !this.#known : passed?.has(label)) known?.delete(label)
      else (known ??= new Set()).add(label)
    }
    this.#told({ at, online: known === null ? online : online.filter((owner) => !known.has(owner)), offline })
  }
}
