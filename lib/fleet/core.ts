/**
 * What the parts of a fleet need of its core, and what the core needs of them. Types only.
 *
 * A part (labels, presence, orders, places, the calendar) knows the core, and no other part.
 */
import type { Clock } from '../base/clock.ts'
import type { Hooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Registry } from '../track/registry.ts'
import type { FleetEngine, Pulse } from './engine.ts'

/** A node, by the last beat of this one. */
export interface FleetNode {
  /** Host, process and a random part: new at each start. */
  readonly id: string
  readonly state: 'running' | 'draining'
  /** Its connections. */
  readonly connections: number
  /** Clients a second that it can take. */
  readonly capacity: number
  /** Version of the plugin. */
  readonly version: string
  /** Whether it is this node. */
  readonly self: boolean
  /** Time since its last beat, milliseconds. */
  readonly lastSeen: number
}

/** A node with what its parts have said. */
export interface NodeView extends FleetNode {
  readonly info: Readonly<Record<string, unknown>>
}

/** A node that has not answered. */
export interface MissingNode {
  readonly node: string
  /** `silent`: it did not answer in time; `lost`: its lease has ended. */
  readonly state: 'silent' | 'lost'
  /** Time since its last beat, milliseconds. */
  readonly lastSeen: number
}

/** An answer of the fleet. It comes within its deadline; nodes that have not answered are named, and their part is not in it. */
export interface Answer<T> {
  readonly value: T
  /** Whether no node is missing. */
  readonly complete: boolean
  readonly missing: readonly MissingNode[]
}

/** What nodes have answered to a question. */
export interface Answers<T> {
  /** Node → its answer. */
  readonly answers: ReadonlyMap<string, T>
  readonly missing: readonly MissingNode[]
}

/** Event of the fleet → what its listeners get. */
export interface FleetEvents {
  /** A node is new. */
  joined: FleetNode
  /** A node has left by itself. */
  left: FleetNode
  /** The lease of a node has ended. */
  lost: FleetNode
  /** The first connection of an owner has opened. `here`: this node has found it; true on one node of the fleet. */
  online: { readonly owner: string, readonly here: boolean }
  /** An owner has no connection, and is not expected back. `here` as for `online`. */
  offline: { readonly owner: string, readonly here: boolean }
}

/** A part of the fleet; the core calls its methods, which must not throw. */
export interface FleetPart {
  /** Before each beat: returns what it adds to what the node says about itself, short. */
  info? (): Record<string, unknown>
  /** After each beat that was answered. */
  beaten? (pulse: Pulse): void
  /** The node has joined, or joined anew: what it has written in the engine is gone. */
  joined? (): void
  /** A node is gone. */
  gone? (node: NodeView, how: 'left' | 'lost'): void
  /** Type of a message → what to do with it. The body is JSON of another node: unchecked. */
  readonly hears?: Readonly<Record<string, (body: unknown, from: string) => void>>
  /** Type of a question → its answer, a JSON value. What it throws is no answer. */
  readonly answers?: Readonly<Record<string, (body: unknown) => unknown>>
  /** The fleet closes: ends timers and hooks. */
  close? (): void
}

/** The core of the fleet, for its parts. */
export interface FleetCore {
  /** Id of this node. */
  readonly node: string
  readonly clock: Clock
  readonly registry: Registry
  readonly hooks: Hooks<ManagedConnection>
  /** Every call has a deadline, and rejects with SOCKETS_ERR_FLEET_UNAVAILABLE alone. */
  readonly engine: FleetEngine
  /** Whether the engine has answered last. */
  readonly up: boolean
  /** By the last beat; this node included. */
  readonly nodes: ReadonlyMap<string, NodeView>
  /** Time of the engine, by the last beat and the clock of this node. */
  now (): number
  /** Sends a message to nodes, at most once. Rejects with SOCKETS_ERR_FLEET_UNAVAILABLE. */
  send (to: readonly string[], type: string, body: object): Promise<void>
  /** Asks nodes, all if none are named, and waits for their answers until the deadline. Rejects with SOCKETS_ERR_FLEET_UNAVAILABLE. */
  ask<T> (type: string, body: object, to?: readonly string[]): Promise<Answers<T>>
  /** Calls the listeners of an event. */
  emit<K extends keyof FleetEvents> (event: K, value: FleetEvents[K]): void
}
