/**
 * Places under limits that all nodes of a fleet share: what admission asks of them, and what they ask of admission.
 * fleet/places.ts has the other end.
 */
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Refusal } from '../track/events.ts'

/** A limit that nodes can share. */
export type SharedLimit = 'total' | 'perOwner'

/** How a place is asked for. */
export interface Asking {
  /** Whether the limit only observes: it evicts nothing. */
  readonly observed: boolean
  /** Whether a connection may be evicted for it, if the policy says so. */
  readonly evicts: boolean
}

/** A place that was asked for. */
export interface Claim {
  /** Null: the place is there, or nodes cannot be asked and each decides for itself; otherwise why there is none. Never rejects. */
  readonly decided: Promise<Refusal['reason'] | null>
  /** Gives the place back, or asks no more: what it was for counts by itself, or is over. Called again, it does nothing. */
  release (): void
}

/** The places that nodes share. */
export interface SharedPlaces {
  /** Whether nodes can be asked now. */
  readonly up: boolean
  /** Asks for a place under a limit that nodes share; `owner` for `perOwner`. Null if this node decides for itself. */
  claim (limit: SharedLimit, owner: string | undefined, asking: Asking): Claim | null
  /**
   * A client comes that another node has asked to move, by the id that it offers: that node gives its place back. Resolves when it
   * has, and if no node knows the id. Never rejects.
   */
  moveHere (id: string, owner: string | undefined): Promise<void>
  /** The number of connections that count has changed: all, or those of an owner. */
  changed (owner: string | undefined): void
}

/** The connections of this node that take such places: all, or those of an owner. */
export interface LocalPlaces {
  /** Number of connections that count. */
  countOf (owner: string | undefined): number
  /** Owners with connections. */
  owners (): Iterable<string>
  /** The connection that would be evicted; undefined if there is none. */
  oldestOf (owner: string | undefined): ManagedConnection | undefined
  /** Evicts that connection for one on any node. Returns false if there is none, or there were too many evictions. */
  evictOldest (owner: string | undefined): boolean
  /** The client that was asked to move under an id is at another node, where it counts. Returns its owner; null if there is none. */
  movesAway (id: string, owner: string | undefined): { readonly owner: string | undefined } | null
}
