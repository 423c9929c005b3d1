/**
 * The places that connections take under the limits: which of them count, and under which address and owner.
 *
 * An evicted connection stops counting before its raw socket is gone. The two connections of a move count as one: the old one, until
 * its client has moved or its raw socket is gone, then the new one.
 */
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Limit, Limits } from './admission-decision.ts'
import { Slots } from './slots.ts'

/** Keys under which a handshake or a connection is counted. */
export interface Keys {
  /** The key of the address; undefined if addresses are not limited, or the client has none. */
  readonly address?: string | undefined
  readonly owner?: string | undefined
}

/** The place of one connection. */
interface Place {
  /** As in Keys. */
  readonly address: string | undefined
  /** The owner under which the connection is counted. */
  owner: string | undefined
  /** What of it counts: only its raw socket, once it was evicted; nothing, while the other connection of its move counts. */
  counts: 'connection' | 'socket' | 'nothing'
  /** Whether its address counts it, whatever else does: also while the other connection of its move has another address. */
  addressCounts: boolean
  /** The connection to which its client moves. */
  next: ManagedConnection | null
  /** The connection from which its client moves. */
  previous: ManagedConnection | null
  /** Whether its client moves to another node, where it counts. */
  movesAway: boolean
}

export class Places {
  readonly addresses: Slots
  readonly owners: Slots
  /** Called when the number of connections that count has changed: all, or those of an owner. */
  changed: ((owner: string | undefined) => void) | null = null
  readonly #byOwner: boolean
  readonly #places = new Map<ManagedConnection, Place>()
  /** Number of connections that count. */
  #counted = 0
  /** Number of connections of which nothing counts. */
  #uncounted = 0

  constructor ({ perAddress, perOwner }: Limits) {
    this.addresses = new Slots(evicts(perAddress))
    this.owners = new Slots(evicts(perOwner))
    this.#byOwner = perOwner !== false
  }

  /** Number of connections that count. */
  get counted (): number { return this.#counted }
  /** Number of raw sockets that count. */
  get physical (): number { return this.#places.size - this.#uncounted }
  /** Number of places and keys. */
  get size (): number { return this.#places.size + this.addresses.size + this.owners.size }

  of (connection: ManagedConnection): Readonly<Place> | undefined { return this.#places.get(connection) }

  enter (connection: ManagedConnection, keys: Keys): void { this.#count(connection, this.#add(connection, keys)) }

  /** The new connection of a move enters; the old one counts for both, under its own address. */
  enterNext (connection: ManagedConnection, keys: Keys, previous: ManagedConnection): void {
    const place = this.#add(connection, keys)
    const other = this.#places.get(previous)!
    place.previous = previous
    other.next = connection
    if (place.address !== other.address) this.#countAddress(connection, place)
  }

  leave (connection: ManagedConnection): void {
    const place = this.#places.get(connection)!
    this.part(connection)
    if (place.previous !== null) this.#places.get(place.previous)!.next = null
    this.#uncount(connection, place)
    this.#uncounted--
    this.#places.delete(connection)
  }

  /** The client of a connection has moved: the new one counts for both. Without one only the raw socket counts, as after an eviction. */
  moved (connection: ManagedConnection): void {
    if (this.part(connection) === null) this.evict(connection)
    else this.#uncount(connection, this.#places.get(connection)!)
  }

  /** The client of a connection moves to another node: it counts there. */
  movesAway (connection: ManagedConnection): void {
    const place = this.#places.get(connection)!
    this.#uncount(connection, place)
    place.movesAway = true
  }

  /** It has not moved: it counts here, if it was counted there. */
  stays (connection: ManagedConnection): void {
    const place = this.#places.get(connection)
    if (place?.movesAway !== true) return
    place.movesAway = false
    this.#count(connection, place)
  }

  /** The owner of an open connection was set. */
  setOwner (connection: ManagedConnection, owner: string | undefined): void {
    const place = this.#places.get(connection)!
    const counts = place.counts === 'connection'
    const { owner: before } = place
    if (counts && before !== undefined) this.owners.remove(before, connection, false)
    place.owner = owner
    if (counts && owner !== undefined) this.owners.add(owner, connection)
    if (!counts || this.changed === null) return
    if (before !== undefined) this.changed(before)
    if (owner !== undefined) this.changed(owner)
  }

  /** The connection was evicted: only its raw socket counts, until it is gone. */
  evict (connection: ManagedConnection): void {
    const place = this.#places.get(connection)
    // A listener of 'closing' may have destroyed the raw socket; one whose client moves to another node counts there.
    if (place?.counts !== 'connection') return
    place.counts = 'socket'
    this.#counted--
    if (place.address !== undefined) this.addresses.evict(place.address, connection)
    if (place.owner !== undefined) this.owners.evict(place.owner, connection)
    this.#tell(place)
  }

  /** Parts the two connections of a move: the new one counts, too. Returns it; null if there is none. */
  part (connection: ManagedConnection): ManagedConnection | null {
    const place = this.#places.get(connection)
    const next = place?.next ?? null
    if (next === null) return null
    const other = this.#places.get(next)!
    place!.next = other.previous = null
    this.#count(next, other)
    return next
  }

  #add (connection: ManagedConnection, { address, owner }: Keys): Place {
    const place: Place = { address, owner: this.#byOwner ? owner : undefined, counts: 'nothing', next: null, previous: null, movesAway: false, addressCounts: false }
    this.#places.set(connection, place)
    this.#uncounted++
    return place
  }

  #count (connection: ManagedConnection, place: Place): void {
    place.counts = 'connection'
    this.#uncounted--
    this.#counted++
    this.#countAddress(connection, place)
    if (place.owner !== undefined) this.owners.add(place.owner, connection)
    this.#tell(place)
  }

  #countAddress (connection: ManagedConnection, place: Place): void {
    if (place.address === undefined || place.addressCounts) return
    place.addressCounts = true
    this.addresses.add(place.address, connection)
  }

  /** Nothing of a connection counts any more. */
  #uncount (connection: ManagedConnection, place: Place): void {
    const { address, owner, counts, addressCounts } = place
    if (addressCounts) this.addresses.remove(address!, connection, counts === 'socket')
    place.addressCounts = false
    if (counts === 'nothing') return
    place.counts = 'nothing'
    this.#uncounted++
    if (counts === 'connection') this.#counted--
    if (owner !== undefined) this.owners.remove(owner, connection, counts === 'socket')
    if (counts === 'connection') this.#tell(place)
  }

  #tell ({ owner }: Place): void {
    if (this.changed === null) return
    this.changed(undefined)
    if (owner !== undefined) this.changed(owner)
  }
}

function evicts (limit: Limit | false): boolean {
  return limit !== false && limit.policy !== 'refuse'
}
