/**
 * The public interface of the fleet: `app.sockets.fleet`. fleet/managed-fleet.ts implements it.
 *
 * A fleet is the nodes (processes) that share an engine; without the option `fleet` it is this node alone.
 */
import type { ActOptions, ConnectionState } from '../connection/connection.ts'
import type { BroadcastResult } from './broadcast.ts'
import type { CloseOptions } from './close-options.ts'
import type { Story } from './story.ts'

/** A node, by the last beat of this one. */
export interface FleetNode {
  /** Host, process and a random part: new at each start. */
  readonly id: string
  /** `draining`: it closes its connections. */
  readonly state: 'running' | 'draining'
  /** Its connections. */
  readonly connections: number
  /** Its clients: those that are connected, and those that it has told to come back later. */
  readonly expected: number
  /** Clients a second that it can take; 0 while it drains. */
  readonly capacity: number
  /** Turns that it has booked for its clients, to leave for other nodes; null: none are to come. */
  readonly booked: FleetTurns | null
  /** Version of the plugin. */
  readonly version: string
  /** Whether it is this node. */
  readonly self: boolean
  /** Time since its last beat, milliseconds. */
  readonly lastSeen: number
}

/** Turns of the clients of a node that leaves. */
export interface FleetTurns {
  /** Clients whose turns are to come. */
  readonly clients: number
  /** How many of them come in a second, now. */
  readonly rate: number
  /** Time until the last turn, milliseconds. */
  readonly within: number
}

/** A node that has not answered. */
export interface MissingNode {
  /** Id of the node. */
  readonly node: string
  /** `silent`: it did not answer in time; `lost`: it is gone. */
  readonly state: 'silent' | 'lost'
  /** Time since its last beat, milliseconds; null if this node has never heard of it. */
  readonly lastSeen: number | null
}

/** An answer of the fleet. It comes within its deadline; nodes that have not answered are named, and their part is not in it. */
export interface Answer<T> {
  /** The answer of all nodes that have answered. */
  readonly value: T
  /** Whether no node is missing. False too if it is not known which nodes there are. */
  readonly complete: boolean
  /** The nodes that have not answered. */
  readonly missing: readonly MissingNode[]
}

/** Selects connections of the fleet, as `Filter` does those of one node: a function `where` does not travel. */
export type FleetFilter = 'all' | (FleetSelection & {
  /** Id of the node that has the connection. */
  node?: string
  /** Needs `node`. */
  id?: never
}) | (FleetSelection & {
  /** Id of the node that has the connection. */
  node: string
  /** The id of the connection, unique on its node. */
  id: number
})

/** What a filter selects on every node. */
export interface FleetSelection {
  /** The owner of the connection. */
  owner?: string
  /** A tag of the connection. */
  tag?: string
  /** Pattern of the route, as it was declared. */
  route?: string
  /** The state of the connection. */
  state?: ConnectionState
}

/** A connection of any node: plain data. */
export interface RemoteConnection {
  /** Id of its node. */
  readonly node: string
  /** Id of the connection, unique on its node. */
  readonly id: number
  /** The state. */
  readonly state: ConnectionState
  /** The owner, its first 1,024 characters; undefined until it is set. */
  readonly owner: string | undefined
  /** The tags, 100 at most, of each its first 256 characters. */
  readonly tags: readonly string[]
  /** Pattern of the route, the path for adopted servers; its first 256 characters. */
  readonly route: string
  /** Address of the peer as Fastify sees it. */
  readonly ip: string
  /** Fastify's request id, its first 128 characters; empty for adopted servers. */
  readonly requestId: string
  /** Time of the handshake by the clock of its node, epoch milliseconds. */
  readonly openedAt: number
}

/** Which page of a list. */
export interface FleetPageOptions {
  /** Maximum number of connections, up to 500. @default 50 */
  limit?: number
  /** The `next` of the page before. @default the first page */
  after?: string | undefined
}

/** A page of a list. */
export interface FleetPage extends Answer<readonly RemoteConnection[]> {
  /** Pass it as `after` for the next page; null: this is the last. */
  readonly next: string | null
}

/** Selects the connections to explain. */
export type FleetStoryQuery = {
  /** Id of a node. */
  node: string
  /** Id of a connection of that node. */
  id: number
} | {
  /** An owner. */
  owner: string
} | {
  /** Fastify's id of the upgrade request; its first 128 characters are compared. */
  requestId: string
}

/** A story, and the node that tells it. */
export interface FleetStory {
  /** Id of the node. */
  readonly node: string
  /** What happened to the connection; times are those of its node. */
  readonly story: Story
}

/** Event of the fleet → what its listeners get. */
export interface FleetEvents {
  /** A node is new. */
  joined: FleetNode
  /** A node has left by itself. */
  left: FleetNode
  /** The lease of a node has ended: it is gone, or cut off. */
  lost: FleetNode
  /** The engine answers from now on. */
  up: FleetOutage
  /** The engine does not answer. */
  down: FleetFailure
  /** The first connection of an owner has opened. */
  online: FleetPresence
  /** An owner has no connection, and is not expected back. */
  offline: FleetPresence
}

/** The diagnostics channels of the fleet's events. */
export interface FleetChannels {
  /** Whether the channel of an event has subscribers. */
  hears (event: keyof FleetEvents): boolean
  /** Publishes an event. */
  publish<K extends keyof FleetEvents> (event: K, value: FleetEvents[K]): void
}

/** An outage of the engine that is over. */
export interface FleetOutage {
  /** How long the engine has not answered this node, milliseconds: since the outage began, or since the start. */
  readonly duration: number
}

/** An outage of the engine that begins. */
export interface FleetFailure {
  /** What a call has failed with. */
  readonly error: unknown
}

/** An owner that has come or gone. */
export interface FleetPresence {
  /** The owner. */
  readonly owner: string
  /** Whether this node has found it: true on one node of the fleet. */
  readonly here: boolean
}

/** Whether an owner is connected, and where. */
export interface OwnerPresence {
  /** Whether it has a connection, or is expected back. `unknown`: the engine does not answer, and this node has no connection of it. */
  readonly online: boolean | 'unknown'
  /** Its connections. */
  readonly connections: number
  /** The nodes that have them. */
  readonly nodes: ReadonlyArray<{
    /** Its id. */
    readonly node: string
    /** Connections of the owner on it. */
    readonly connections: number
  }>
  /** Time within which an owner without connections is expected back, milliseconds. */
  readonly expectedBack?: number
  /** Whether the engine has answered: without it only the connections of this node are known. */
  readonly complete: boolean
}

/** Which part of the connections leaves, and for the audit who has asked for it, and why. */
export interface FleetDrainOptions extends ActOptions {
  /** The part, above 0, at most 1. */
  fraction: number
}

/** A listener for one event of the fleet; it may be async. */
export type FleetListener<K extends keyof FleetEvents> = (value: FleetEvents[K]) => unknown

/**
 * The fleet: `app.sockets.fleet`. Answers come within 300 ms, and name the nodes that have not answered. While the engine does not
 * answer, methods reject with SOCKETS_ERR_FLEET_UNAVAILABLE, unless they say otherwise.
 */
export interface Fleet {
  /** Id of this node. */
  readonly node: string
  /** All nodes by the last beat, this one included, by id. */
  readonly nodes: readonly FleetNode[]
  /** Whether the engine answers. */
  readonly state: 'up' | 'down'
  /** Messages that were ignored: of another version, of another program, or damaged. */
  readonly ignored: number
  /**
   * Counts the connections that match. A filter with an owner alone, or with a tag alone, asks the engine, and counts a connection
   * until its close begins or its client has moved; others ask all nodes, which count as `app.sockets.count()` does.
   * Rejects with SOCKETS_ERR_INVALID_FILTER, SOCKETS_ERR_FLEET_UNAVAILABLE. @default filter 'all'
   */
  count (filter?: FleetFilter): Promise<Answer<number>>
  /**
   * Lists the connections that match, a page at a time: by node, of each node by age. A page is shorter than its limit if its
   * connections would exceed 256 KiB on their node. Rejects with SOCKETS_ERR_INVALID_FILTER, SOCKETS_ERR_INVALID_ARGUMENT,
   * SOCKETS_ERR_FLEET_UNAVAILABLE. @default filter 'all'
   */
  list (filter?: FleetFilter, page?: FleetPageOptions): Promise<FleetPage>
  /**
   * Returns the stories of the connections that match, the newest first, at most 100. Rejects with SOCKETS_ERR_INVALID_ARGUMENT,
   * SOCKETS_ERR_FLEET_UNAVAILABLE.
   */
  explain (query: FleetStoryQuery): Promise<Answer<readonly FleetStory[]>>
  /**
   * Sends a message of at most 1 MiB to the connections that match: at most once. With an owner or a tag it goes only to the nodes
   * that have such connections. A missing node has not got it, or has not finished in time. If the engine does not answer, it is
   * sent to the connections of this node, and the others are missing. Rejects with SOCKETS_ERR_INVALID_FILTER,
   * SOCKETS_ERR_INVALID_ARGUMENT.
   */
  broadcast (data: string | Uint8Array, filter: FleetFilter): Promise<Answer<BroadcastResult>>
  /**
   * Returns whether an owner is connected, and where. Never rejects but for a wrong argument: if the engine does not answer, the answer
   * is that of this node, and not complete. Rejects with SOCKETS_ERR_INVALID_ARGUMENT.
   */
  presence (owner: string): Promise<OwnerPresence>
  /**
   * Closes the connections that match on all nodes, as `app.sockets.disconnect()` does. Returns how many are closed. A missing node
   * carries the order out once, within a beat (2 s) of its return, for 10 minutes. Rejects with SOCKETS_ERR_INVALID_FILTER,
   * SOCKETS_ERR_INVALID_CLOSE_CODE, SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_FLEET_UNAVAILABLE.
   */
  disconnect (filter: FleetFilter, close?: CloseOptions): Promise<Answer<number>>
  /**
   * Asks the clients of the connections that match to move, as `connection.move()` does, in turns of the calendar of the fleet:
   * no more a second than 0.8 of what all nodes can take. Returns how many can. Missing nodes as with `disconnect()`. Rejects with SOCKETS_ERR_INVALID_FILTER,
   * SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_FLEET_UNAVAILABLE.
   */
  move (filter: FleetFilter, asked?: ActOptions): Promise<Answer<number>>
  /**
   * Lets a part of the connections of every node leave, chosen at random, in turns of the calendar of the fleet: no more a
   * second than 0.8 of what all nodes can take. Clients that can are asked to move; the others, and those that have not moved within 5 seconds, are closed with 1012,
   * cause `rebalance`. Returns how many leave. Missing nodes as with `disconnect()`. Rejects with SOCKETS_ERR_INVALID_ARGUMENT,
   * SOCKETS_ERR_FLEET_UNAVAILABLE.
   */
  drain (options: FleetDrainOptions): Promise<Answer<number>>
  /**
   * Adds a listener; a listener that was added is not added again. Each event comes at most once: a node that is cut off does not hear
   * what it missed. Throws SOCKETS_ERR_INVALID_ARGUMENT.
   */
  on<K extends keyof FleetEvents> (event: K, listener: FleetListener<K>): this
  /** Removes a listener. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  off<K extends keyof FleetEvents> (event: K, listener: FleetListener<K>): this
}
