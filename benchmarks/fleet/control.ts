/**
 * Calls of a node of a fleet. Types only. Points in time are microseconds of the monotonic clock.
 */

/** Address of the Redis that the nodes share. */
export interface RedisAddress { host: string, port: number }

/** Questions of one node about all: where an owner is and how many connections it has, a page of connections, the number of nodes. */
export type Question = 'count' | 'presence' | 'page' | 'nodes'

export interface Asked {
  /** Milliseconds until the answer, or until the failure. */
  duration: number
  /** Connections or nodes in the answer; null: there was none. */
  found: number | null
  /** Ids of the nodes that the answer names as missing. */
  missing: string[]
}

/** What a node was told of others. */
export interface Told {
  /** Ids of nodes that were lost, each as often as it was told. */
  lost: string[]
  /** Owners that went offline, by this node's finding. */
  offline: string[]
}

export interface FleetNodeControl {
  start (redis: RedisAddress): Promise<{ port: number, id: string }>
  /** Connections, and bytes that have come from Redis. */
  sample (): { connections: number, received: number }
  ask (question: Question, owner: string): Promise<Asked>
  /** Sends a text of `bytes` to the connections with this tag on all nodes. */
  broadcast (tag: string, bytes: number): { startedAt: number }
  /** Disconnects an owner on all nodes. */
  disconnect (owner: string): { startedAt: number }
  /** Disconnects owners on all nodes, many at a time, and each again until that is not rejected. Resolves with the number of rejections. */
  orders (owners: string[]): Promise<number>
  /** Number of orders that were not rejected. */
  ordered (): number
  told (): Told
}

export interface LeavingOptions {
  /** null: without a fleet. */
  redis: RedisAddress | null
  /** Clients a second that come back in a drain. */
  rate: number
  /** Milliseconds. */
  settleDelay: number
}

export interface LeavingServerControl {
  start (options: LeavingOptions): Promise<{ port: number }>
  /** Number of nodes that it knows. */
  nodes (): number
  /** When connections to a room were opened since then. */
  opened (since: number, room: string): number[]
}
