/**
 * Shows that the contract of engines is able to fail: each of these engines breaks one rule, and at least one promise. Every promise
 * is broken by at least one of them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Beat, Booking, LabelCount, PlacesAsked, PlacesGiven, PresenceChange, Pulse, Turns, Whereabouts } from '../../lib/fleet/engine.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import { memoryGround } from '../helpers/memory-ground.ts'
import { promises } from './contract.ts'

/** An engine that accepts calls of nodes that are no members. */
class Welcoming extends MemoryFleet {
  override label (node: string, counts: readonly LabelCount[]): PresenceChange { return this.#orNothing(() => super.label(node, counts), { at: 0, online: [], offline: [] }) }
  override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] { return this.#orNothing(() => super.take(node, asked), asked.map(() => ({ given: 0, oldestAt: null }))) }
  override book (node: string, booking: Booking): Turns { return this.#orNothing(() => super.book(node, booking), { first: 1, seconds: [], rate: 0 }) }

  #orNothing<T> (call: () => T, nothing: T): T {
    try { return call() } catch { return nothing }
  }
}

const BROKEN: Record<string, typeof MemoryFleet> = {
  'a beat never tells that the node has joined': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return { ...super.beat(node, beat), joined: false } }
  },
  'every beat joins anew': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return { ...super.beat(node, beat), joined: true } }
  },
  'a node keeps what it has said about itself first': class extends MemoryFleet {
    readonly #first = new Map<string, string>()
    override beat (node: string, beat: Beat): Pulse {
      if (!this.#first.has(node)) this.#first.set(node, beat.info)
      return super.beat(node, { ...beat, info: this.#first.get(node)! })
    }
  },
  'a node does not see itself': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      return { ...pulse, nodes: pulse.nodes.filter(({ id }) => id !== node) }
    }
  },
  'capacities are whole numbers': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return super.beat(node, { ...beat, capacity: Math.floor(beat.capacity) }) }
  },
  'silence is not measured': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      return { ...pulse, nodes: pulse.nodes.map((record) => ({ ...record, silent: 0 })) }
    }
  },
  'time stands still': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return { ...super.beat(node, beat), now: 1 } }
  },
  'each node has a clock of its own': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      return { ...pulse, now: pulse.now + node.charCodeAt(0) * 3_600_000 }
    }
  },
  'leases do not end': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return super.beat(node, { ...beat, lease: 1e9 }) }
  },
  'the first lease is the length of all': class extends MemoryFleet {
    readonly #leases = new Map<string, number>()
    override beat (node: string, beat: Beat): Pulse {
      const lease = this.#leases.get(node) ?? beat.lease
      this.#leases.set(node, lease)
      return super.beat(node, { ...beat, lease })
    }
  },
  'a lost node is told to two': class extends MemoryFleet {
    #before: Pulse['lost'] = []
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      const lost = [...pulse.lost, ...this.#before]
      this.#before = pulse.lost
      return { ...pulse, lost }
    }
  },
  'lost nodes are told to none': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return { ...super.beat(node, beat), lost: [] } }
  },
  'a node whose lease has ended loses all by its own beat': class extends MemoryFleet {
    readonly #ends = new Map<string, number>()
    override beat (node: string, beat: Beat): Pulse {
      const now = super.beat('probe', { ...beat, capacity: 0, lease: 1, settled: [] }).now
      super.leave('probe')
      if ((this.#ends.get(node) ?? Infinity) <= now) super.leave(node)
      this.#ends.set(node, now + beat.lease)
      return super.beat(node, beat)
    }
  },
  'leases end while no node can beat': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse {
      // There is always one that has beaten.
      super.beat('probe', { ...beat, capacity: 0, lease: 1e9, settled: [] })
      const pulse = super.beat(node, beat)
      return { ...pulse, nodes: pulse.nodes.filter(({ id }) => id !== 'probe') }
    }
  },
  'nodes that are no members write nothing, and are not told so': Welcoming,
  'a node joins by listening': class extends MemoryFleet {
    override listen (node: string, hear: (message: string) => void): () => void {
      super.beat(node, { info: '', capacity: 0, lease: 1e9, settled: [], away: 0 })
      return super.listen(node, hear)
    }
  },
  'a node that leaves waits for the end of its lease': class extends MemoryFleet { override leave (): void {} },
  'a node that was never there cannot leave': class extends MemoryFleet {
    readonly #known = new Set<string>()
    override beat (node: string, beat: Beat): Pulse { this.#known.add(node); return super.beat(node, beat) }
    override leave (node: string): void {
      if (!this.#known.has(node)) throw new Error('unknown')
      super.leave(node)
    }
  },
  'an engine that is emptied keeps all': class extends MemoryFleet { override clear (): void {} },
  'messages reach all nodes': class extends MemoryFleet {
    readonly #all = new Set<string>()
    override listen (node: string, hear: (message: string) => void): () => void { this.#all.add(node); return super.listen(node, hear) }
    override send (_nodes: readonly string[], message: string): void { super.send([...this.#all], message) }
  },
  'a node does not hear itself': class extends MemoryFleet {
    override send (nodes: readonly string[], message: string): void { super.send(nodes.slice(1), message) }
  },
  'messages come twice': class extends MemoryFleet {
    override send (nodes: readonly string[], message: string): void { super.send([...nodes, ...nodes], message) }
  },
  'messages are trimmed': class extends MemoryFleet {
    override send (nodes: readonly string[], message: string): void { super.send(nodes, message.trim()) }
  },
  'messages come in another order': class extends MemoryFleet {
    #kept: Array<() => void> = []
    override send (nodes: readonly string[], message: string): void {
      this.#kept.push(() => super.send(nodes, message))
      if (this.#kept.length === 1) queueMicrotask(() => { for (const send of this.#kept.splice(0).reverse()) send() })
    }
  },
  'messages go on after the end': class extends MemoryFleet {
    override listen (node: string, hear: (message: string) => void): () => void { super.listen(node, hear); return () => {} }
  },
  'a node that listens again goes on where it was, too': class extends MemoryFleet {
    readonly #before = new Map<string, (message: string) => void>()
    override listen (node: string, hear: (message: string) => void): () => void {
      const before = this.#before.get(node)
      this.#before.set(node, hear)
      return super.listen(node, (message) => { before?.(message); hear(message) })
    }
  },
  'an order sends its notice once': class extends MemoryFleet {
    readonly #rung = new Set<string>()
    override order (node: string, id: string, order: string): void {
      if (!this.#rung.has(id)) super.send([node], 'ring')
      this.#rung.add(id)
      const send = this.send
      this.send = () => {}
      super.order(node, id, order, '')
      this.send = send
    }
  },
  'an order replaces another of its id': class extends MemoryFleet {
    readonly #last = new Map<string, string>()
    override order (node: string, id: string, order: string, notice: string): void { this.#last.set(id, order); super.order(node, id, order, notice) }
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      return { ...pulse, orders: pulse.orders.map(([id]) => [id, this.#last.get(id)!]) }
    }
  },
  'an order is read once': class extends MemoryFleet {
    readonly #read = new Set<string>()
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      const orders = pulse.orders.filter(([id]) => !this.#read.has(id))
      for (const [id] of orders) this.#read.add(id)
      return { ...pulse, orders }
    }
  },
  'orders are not settled': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return super.beat(node, { ...beat, settled: [] }) }
  },
  'orders wait for nodes that are no members': class extends MemoryFleet {
    readonly #waiting: Array<[string, string, string, string]> = []
    override order (node: string, id: string, order: string, notice: string): void { this.#waiting.push([node, id, order, notice]) }
    override beat (node: string, beat: Beat): Pulse {
      super.beat(node, beat)
      for (const order of this.#waiting) super.order(...order)
      return super.beat(node, beat)
    }
  },
  'an inbox holds a thousand orders': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      return { ...pulse, orders: pulse.orders.slice(0, 1000) }
    }
  },
  'counts are added up': class extends MemoryFleet {
    override label (node: string, counts: readonly LabelCount[]): PresenceChange {
      return super.label(node, counts.map((item) => {
        const before = new Map(super.find(item.kind, item.label).nodes).get(node) ?? 0
        return { ...item, count: item.count === 0 ? 0 : before + item.count }
      }))
    }
  },
  'owners and tags are one': class extends MemoryFleet {
    override label (node: string, counts: readonly LabelCount[]): PresenceChange { return super.label(node, counts.map((item) => ({ ...item, kind: 'owner' }))) }
    override find (_kind: LabelCount['kind'], label: string): Whereabouts { return super.find('owner', label) }
  },
  'one call writes 4,000 counts': class extends MemoryFleet {
    override label (node: string, counts: readonly LabelCount[]): PresenceChange { return super.label(node, counts.slice(0, 4000)) }
  },
  'each node tells its owners': class extends MemoryFleet {
    override label (node: string, counts: readonly LabelCount[]): PresenceChange {
      const { at } = super.label(node, counts)
      const owners = (gone: boolean) => counts.filter(({ kind, count }) => kind === 'owner' && gone === (count === 0)).map(({ label }) => label)
      return { at, online: owners(false), offline: owners(true) }
    }
  },
  'changes have the time of the last beat': class extends MemoryFleet {
    #now = 0
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      this.#now = pulse.now
      return pulse
    }

    override label (node: string, counts: readonly LabelCount[]): PresenceChange { return { ...super.label(node, counts), at: this.#now } }
  },
  'owners are not away': class extends MemoryFleet {
    override label (node: string, counts: readonly LabelCount[]): PresenceChange { return super.label(node, counts.map((item) => ({ ...item, away: 0 }))) }
  },
  'a time away has one length': class extends MemoryFleet {
    override label (node: string, counts: readonly LabelCount[]): PresenceChange { return super.label(node, counts.map((item) => ({ ...item, away: item.away > 0 ? 300 : 0 }))) }
  },
  'an owner that is back is expected still': class extends MemoryFleet {
    readonly #away = new Map<string, number>()
    override label (node: string, counts: readonly LabelCount[]): PresenceChange {
      for (const { label, away } of counts) if (away > 0) this.#away.set(label, away)
      return super.label(node, counts.map((item) => ({ ...item, away: item.away > 0 ? item.away : this.#away.get(item.label) ?? 0 })))
    }
  },
  'an owner that is connected is expected, too': class extends MemoryFleet {
    override find (kind: LabelCount['kind'], label: string): Whereabouts {
      const found = super.find(kind, label)
      return { ...found, expectedBack: found.expectedBack ?? 1 }
    }
  },
  'owners go offline a second time': class extends MemoryFleet {
    #before: readonly string[] = []
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      const offline = [...pulse.offline, ...this.#before]
      this.#before = pulse.offline
      return { ...pulse, offline }
    }
  },
  'owners do not go offline by a beat': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return { ...super.beat(node, beat), offline: [] } }
  },
  'a beat tells all owners at once': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse {
      const pulse = super.beat(node, beat)
      const offline = [...pulse.offline]
      for (let more = offline; more.length > 0;) offline.push(...more = [...super.beat(node, beat).offline])
      return { ...pulse, offline }
    }
  },
  'owners of a lost node are offline at once': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return super.beat(node, { ...beat, away: 0 }) }
  },
  'owners of a lost node are away for a minute': class extends MemoryFleet {
    override beat (node: string, beat: Beat): Pulse { return super.beat(node, { ...beat, away: 60_000 }) }
  },
  'a node that leaves takes its owners with it': class extends MemoryFleet {
    readonly #owners = new Map<string, Set<string>>()
    override label (node: string, counts: readonly LabelCount[]): PresenceChange {
      const own = this.#owners.get(node) ?? new Set()
      for (const { kind, label } of counts) if (kind === 'owner') own.add(label)
      this.#owners.set(node, own)
      return super.label(node, counts)
    }

    override leave (node: string): void {
      // A count that rises ends the time away.
      for (const label of this.#owners.get(node) ?? []) for (const count of [0, 1, 0]) super.label(node, [{ kind: 'owner', label, count, away: 0 }])
      super.leave(node)
    }
  },
  'a node knows its own places only': class extends MemoryFleet {
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] { return super.take(node, asked.map((item) => ({ ...item, key: `${node} ${item.key}` }))) }
  },
  'all that is wanted is given, or nothing': class extends MemoryFleet {
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] {
      return asked.map((item) => {
        const [answer] = super.take(node, [item])
        if (answer!.given === item.want) return answer!
        super.take(node, [{ ...item, want: 0 }])
        return { ...answer!, given: 0 }
      })
    }
  },
  'places are never given back': class extends MemoryFleet {
    readonly #most = new Map<string, number>()
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] {
      return super.take(node, asked.map((item) => {
        const have = Math.max(item.have, this.#most.get(node + item.key) ?? 0)
        this.#most.set(node + item.key, have)
        return { ...item, have }
      }))
    }
  },
  'places that were given are forgotten': class extends MemoryFleet {
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] {
      const given = super.take(node, asked)
      super.take(node, asked.map((item) => ({ ...item, want: 0 })))
      return given
    }
  },
  'nothing is given beside too many': class extends MemoryFleet {
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] {
      return super.take(node, asked).map(({ given, oldestAt }, index) => ({ given: asked[index]!.have > asked[index]!.max ? -1 : given, oldestAt }))
    }
  },
  'all keys are one': class extends MemoryFleet {
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] { return super.take(node, asked.map((item) => ({ ...item, key: '' }))) }
  },
  'the node that asks is the oldest': class extends MemoryFleet {
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] { return super.take(node, asked).map(({ given, oldestAt }) => ({ given, oldestAt: oldestAt === null ? null : node })) }
  },
  'ages are seconds': class extends MemoryFleet {
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] { return super.take(node, asked.map((item) => ({ ...item, oldest: item.oldest === null ? null : Math.floor(item.oldest / 1000) }))) }
  },
  'the oldest is named to all': class extends MemoryFleet {
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] { return super.take(node, asked).map(({ given, oldestAt }) => ({ given, oldestAt: oldestAt ?? node })) }
  },
  'places of nodes that are gone stay': class extends MemoryFleet {
    readonly #places = new Map<string, Map<string, number>>()
    override take (node: string, asked: readonly PlacesAsked[]): PlacesGiven[] {
      return asked.map((item) => {
        const key = this.#places.get(item.key) ?? new Map<string, number>()
        const others = [...key].reduce((sum, [other, count]) => other === node ? sum : sum + count, 0)
        const [answer] = super.take(node, [{ ...item, max: Math.max(item.max - others, 0) }])
        this.#places.set(item.key, key.set(node, item.have + answer!.given))
        return answer!
      })
    }
  },
  'all capacity is booked': class extends MemoryFleet {
    override book (node: string, booking: Booking): Turns { return super.book(node, { ...booking, share: 1 }) }
  },
  'no ceiling is known': class extends MemoryFleet {
    override book (node: string, booking: Booking): Turns { return super.book(node, { ...booking, ceiling: 1e9 }) }
  },
  'bookings of others are not seen': class extends MemoryFleet {
    override book (node: string, booking: Booking): Turns {
      this.#others.get(this.#last)?.()
      const turns = super.book(node, booking)
      this.#last = node
      this.#others.set(node, () => { try { super.book(node, { ...booking, clients: 0, from: 0, leaves: false }) } catch {} })
      return turns
    }

    #last = ''
    readonly #others = new Map<string, () => void>()
  },
  'bookings are added up': class extends MemoryFleet {
    #turn = 0
    override book (node: string, booking: Booking): Turns {
      super.beat(`${node} ${++this.#turn}`, { info: '', capacity: 0, lease: 1e6, settled: [], away: 0 })
      const turns = super.book(`${node} ${this.#turn}`, booking)
      super.leave(`${node} ${this.#turn}`)
      return turns
    }
  },
  'a booking replaces all of its node': class extends MemoryFleet {
    override book (node: string, booking: Booking): Turns {
      super.book(node, { ...booking, clients: 0, from: 0 })
      return super.book(node, booking)
    }
  },
  'a node that leaves has capacity until it beats': class extends MemoryFleet {
    override book (node: string, booking: Booking): Turns { return super.book(node, { ...booking, leaves: false }) }
  },
  'turns go with their node': class extends MemoryFleet {
    override leave (node: string): void {
      try { this.book(node, { clients: 0, from: 0, share: 1, ceiling: 1, leaves: true }) } catch {}
      super.leave(node)
    }
  },
  'a booking looks at ten minutes': class extends MemoryFleet {
    override book (node: string, booking: Booking): Turns {
      const turns = super.book(node, booking)
      return { ...turns, seconds: turns.seconds.slice(0, 600) }
    }
  },
  'a booking begins with a whole second': class extends MemoryFleet {
    override book (node: string, booking: Booking): Turns { return { ...super.book(node, booking), first: 1000 } }
  },
  'a state is taken as often as one likes': handingOver({ take: (take) => (id) => take(id) ?? taken.get(id) }),
  'states are not replaced': handingOver({ replace: () => () => {} }),
  'a state that was taken is put again': handingOver({ replace: (_replace, put) => put }),
  'states stay': handingOver({ put: (put) => (id, record) => put(id, record, 1e8) }),
  'an empty state is none': handingOver({ take: (take) => (id) => take(id) || undefined }),
  'engines do not end': class extends MemoryFleet {
    override engine () { return Object.assign(super.engine(), { close: async () => {} }) }
  },
  'an engine that closes ends all': class extends MemoryFleet {
    override engine () {
      const engine = super.engine()
      const { close } = engine
      return Object.assign(engine, { close: async () => { this.clear(); await close.call(engine) } })
    }
  },
  'something is left': class extends MemoryFleet { override get size () { return super.size + 1 } }
}

const taken = new Map<string, string>()
type Put = (id: string, record: string, ttl: number) => void
type Take = (id: string) => string | undefined

/** A fleet whose store of states works in another way. */
function handingOver (change: { put?: (put: Put) => Put, replace?: (replace: Put, put: Put) => Put, take?: (take: Take) => Take }): typeof MemoryFleet {
  return class extends MemoryFleet {
    constructor (...input: ConstructorParameters<typeof MemoryFleet>) {
      super(...input)
      const store = this.handovers
      const put = store.put.bind(store)
      const take = store.take.bind(store)
      Object.assign(store, {
        put: (id: string, record: string, ttl: number) => { taken.set(id, record); (change.put?.(put) ?? put)(id, record, ttl) },
        take: change.take?.(take) ?? take,
        replace: change.replace?.(store.replace.bind(store), put) ?? store.replace.bind(store)
      })
    }
  }
}

const broken = new Set<string>()

for (const [rule, Fleet] of Object.entries(BROKEN)) {
  test(`the contract finds an engine of which ${rule}`, async () => {
    let found = false
    for (const { title, keep } of promises) {
      await keep(memoryGround(Fleet)).catch(() => { found = true; broken.add(title) })
    }
    assert.ok(found)
  })
}

test('every promise of the contract can be broken', () => {
  assert.deepEqual(promises.map(({ title }) => title).filter((title) => !broken.has(title)), [])
})
