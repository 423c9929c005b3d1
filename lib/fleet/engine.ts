/**
 * The engine of a fleet: what the nodes share, and how they reach each other. For authors of engines; the plugin has one for Redis and
 * one in memory, and test/fleet/contract.ts holds what each engine must do.
 *
 * An engine holds little: leases of nodes, inboxes of orders, counts of owners and tags and places by node, and the calendar of
 * arrivals. What a node writes is absolute and its own: a value is written again as often as one likes, and what is lost is
 * written anew when the node next joins. Records of connections never leave their node.
 *
 * A node is a member from its first beat until it leaves, or until a beat of another node finds its lease ended and removes it.
 * What is no member holds nothing: `label`, `take` and `book` of such a node reject, for the engine has lost it or was emptied. It
 * beats, learns that it has joined, and writes anew.
 *
 * Leases and times away do not end because the engine was out of reach for all nodes: the first beat after a time without beats as
 * long as its lease starts those that have ended once more. What an answer tells once is told again if the engine learns that it was
 * lost. A fleet in which no node has beaten for an hour may be forgotten.
 *
 * Every method may reject, hang, or answer late; the plugin sets the deadlines. Each is atomic: no call sees half of another.
 * Time is the engine's own, in milliseconds; clocks of nodes are never compared. Texts (info, messages, orders) mean nothing to it.
 */
import type { FastifyInstance } from 'fastify'
import type { HandoverStore } from '../move/handover-store.ts'

/** One node, as the engine knows it. */
export interface NodeRecord {
  /** Its id. */
  readonly id: string
  /** What the node says about itself. */
  readonly info: string
  /** Clients a second that it can take; 0: it is leaving. */
  readonly capacity: number
  /** Time since its last beat, milliseconds. */
  readonly silent: number
}

/** What a node writes at each beat. */
export interface Beat {
  /** What the node says about itself. */
  readonly info: string
  /** Clients a second that it can take; 0: it is leaving. */
  readonly capacity: number
  /** Length of its lease from now, milliseconds. */
  readonly lease: number
  /** Ids of orders that it has carried out: they leave its inbox. */
  readonly settled: readonly string[]
  /** Time for which owners of a node whose lease has ended are expected back, milliseconds. */
  readonly away: number
}

/** What a node reads at each beat. */
export interface Pulse {
  /** Time of the engine, milliseconds; also that of the owners in `offline`, as `at` of `PresenceChange`. */
  readonly now: number
  /** The node was no member before this beat: what it had written is gone, and is to be written again. */
  readonly joined: boolean
  /** All members, this node included. */
  readonly nodes: readonly NodeRecord[]
  /** Other members whose lease had ended, and which this call has removed: each is told to one node only, once. */
  readonly lost: readonly NodeRecord[]
  /** The inbox of this node: order id → order. */
  readonly orders: ReadonlyArray<readonly [id: string, order: string]>
  /** Owners whose time away has ended, and which this call has removed (1,000 at most): each is told to one node only, once. */
  readonly offline: readonly string[]
}

/** How many connections a node has of an owner or with a tag. */
export interface LabelCount {
  /** What the label is. */
  readonly kind: 'owner' | 'tag'
  /** The owner or the tag. */
  readonly label: string
  /** Absolute; 0 removes it. */
  readonly count: number
  /**
   * The owner is expected back within this time, milliseconds, and stays online for so long when its last connection is gone. It
   * lengthens the time that is left, and never shortens it; a count that rises ends it: the owner is back. 0: nothing new.
   */
  readonly away: number
}

/**
 * Owners that have come online or gone offline by a call; each change is told to one node only, once. No owner is in both lists, and
 * what is told again, because an answer was lost, is still so.
 */
export interface PresenceChange {
  /** Time of the call by the engine, milliseconds: of two calls the later one has the greater, as fractions if need be. */
  readonly at: number
  /** Owners that have come online. */
  readonly online: readonly string[]
  /** Owners that have gone offline. */
  readonly offline: readonly string[]
}

/** Where connections of an owner or with a tag are. */
export interface Whereabouts {
  /** Members that have some, and how many. */
  readonly nodes: ReadonlyArray<readonly [node: string, count: number]>
  /** Time within which an owner without connections is expected back, milliseconds; null: it is not expected, or has connections. */
  readonly expectedBack: number | null
}

/** Places under a limit that a node asks for. */
export interface PlacesAsked {
  /** What is limited: `total`, or an owner with a prefix. */
  readonly key: string
  /** Places that the node has now, those included that calls in flight may get: absolute. */
  readonly have: number
  /** Places that it wants in addition. 0: it only says what it has. */
  readonly want: number
  /** Most places of all nodes together. */
  readonly max: number
  /** When its oldest connection under this key was opened, those included that it asks for, engine time; null: none may be evicted. */
  readonly oldest: number | null
}

/** Places that a node has got. */
export interface PlacesGiven {
  /** 0 to `want`. It has `have` + `given` now. */
  readonly given: number
  /** If fewer than wanted: the node with the oldest connection under this key; null: there is none. */
  readonly oldestAt: string | null
}

/** Turns that a node books for its clients. */
export interface Booking {
  /** Clients that come back. Replaces what the node had booked from `from` on; 0 gives that back. */
  readonly clients: number
  /** Time until the first turn, milliseconds. */
  readonly from: number
  /** Part of the capacity of all members together that may be booked, 0 to 1. */
  readonly share: number
  /** Clients a second of all nodes together, at most. */
  readonly ceiling: number
  /** The node takes no more clients: from this call on its capacity is 0. */
  readonly leaves: boolean
}

/** Turns that a node has got: how many in each second of engine time, in which they are spread evenly. Numbers may be fractions. */
export interface Turns {
  /** Time from `from` to the end of the second in which it lies, above 0 and up to 1,000 milliseconds. */
  readonly first: number
  /** Index 0: turns in that time; then those of whole seconds. Turns that have no room within an hour are missing. */
  readonly seconds: readonly number[]
  /** Clients a second that all nodes may book together. 0: no node has capacity, and no turns are booked. */
  readonly rate: number
}

/** The engine of a fleet, for one node. */
export interface FleetEngine {
  /** Connects, if it is not connected, and calls `hear` for each message to this node from now on. Called again, it listens anew. */
  listen (node: string, hear: (message: string) => void): Promise<void>
  /** Renews the lease of a node, removes nodes whose lease has ended, and reads what is new. */
  beat (node: string, beat: Beat): Promise<Pulse>
  /**
   * Removes a node that has left, and all that it has written but its turns and the time its owners are away. Its owners without
   * connections elsewhere or such a time go offline with the next beat.
   */
  leave (node: string): Promise<void>
  /** Sends a message to nodes: at most once, in order for one sender and one receiver while both stay connected. */
  send (nodes: readonly string[], message: string): Promise<void>
  /** Puts an order into the inbox of a member, once until it is settled however often it is put, and sends the message `notice`. */
  order (node: string, id: string, order: string, notice: string): Promise<void>
  /** Writes counts of a node. */
  label (node: string, counts: readonly LabelCount[]): Promise<PresenceChange>
  /** Finds the connections of an owner or with a tag. */
  find (kind: LabelCount['kind'], label: string): Promise<Whereabouts>
  /** Says what places a node has, and takes more: exactly, however many nodes ask at once. One answer for each that is asked. */
  take (node: string, asked: readonly PlacesAsked[]): Promise<PlacesGiven[]>
  /** Books turns, as `Calendar` of arrivals-calendar.ts does. They stay when their node leaves or is lost: its clients may know them. */
  book (node: string, booking: Booking): Promise<Turns>
  /** Where handed-over states wait. */
  readonly handovers: HandoverStore
  /** Ends the engine's connections; pending calls reject. Never throws. */
  close (): Promise<void>
}

/** Makes the engine of an application: the value of the option `fleet`. Called once, when the plugin is registered. */
export type FleetProvider = (app: FastifyInstance) => FleetEngine
