/**
 * What the parts of a fleet need of its core, and what the core needs of them. Types only.
 *
 * A part (labels, presence, orders, places, the calendar) knows the core, and no other part.
 */
import type { Clock } from '../base/clock.ts'
import type { Hooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { Mover } from '../connection/mover.ts'
import type { Act } from '../track/audit.ts'
import type { FleetEvents, FleetNode, MissingNode } from '../track/fleet.ts'
import type { Registry } from '../track/registry.ts'
import type { FleetEngine, Pulse } from './engine.ts'

export type { Answer, FleetEvents, FleetNode, MissingNode } from '../track/fleet.ts'

/** A node with what its parts have said. */
export interface NodeView extends FleetNode {
  readonly info: Readonly<Record<string, unknown>>
}

/** What nodes have answered to a question. */
export interface Answers<T> {
  /** Node → its answer. */
  readonly answers: ReadonlyMap<string, T>
  readonly missing: readonly MissingNode[]
}

/** A part of the fleet; the core calls its methods, and logs what they throw. */
export interface FleetPart {
  /** Before each beat: returns what it adds to what the node says about itself, short. */
  info? (): Record<string, unknown>
  /** Before each beat: returns the ids of orders that were carried out. */
  settled? (): readonly string[]
  /** Before each beat: returns how many clients a second the node can take. One part has this. @default drain.reconnect.rate */
  capacity? (): number
  /** After each beat that was answered. */
  beaten? (pulse: Pulse): void
  /** The node has joined, or joined anew: what it has written in the engine is gone. */
  joined? (): void
  /** A node has said that it leaves: it does not come back, as one that is lost may. */
  left? (node: NodeView): void
  /** Type of a message → what to do with it. The body is JSON of another node: unchecked. */
  readonly hears?: Readonly<Record<string, (body: unknown, from: string) => void>>
  /** Type of a question → its answer, a JSON value or a promise of one. What it throws or rejects with is no answer. */
  readonly answers?: Readonly<Record<string, (body: unknown) => unknown>>
  /** The node is about to leave: writes what it has not written yet. If it rejects, the node does not leave: its lease ends. */
  leaving? (): Promise<void>
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
  readonly mover: Mover<ManagedConnection>
  /** Clients a second that the nodes that stay can take, by the option `drain.reconnect.rate`. */
  readonly reconnectRate: number
  /** Every call has a deadline, and rejects with SOCKETS_ERR_FLEET_UNAVAILABLE alone. */
  readonly engine: FleetEngine
  /** Whether the engine answers; false before the first beat. */
  readonly up: boolean
  /** By the last beat; this node included. */
  readonly nodes: ReadonlyMap<string, NodeView>
  /** Those but this one. */
  readonly others: readonly NodeView[]
  /** Time of the engine, by the beats and the clock of this node. */
  now (): number
  /** Beats at once, or as soon as the last beat is 250 ms old: after the engine has refused a call, or when news must not wait. */
  beat (): void
  /** Waits for the first beat, if it is under way. Rejects with SOCKETS_ERR_FLEET_UNAVAILABLE if the engine does not answer. */
  ready (): Promise<void>
  /** Sends a message to nodes, at most once. Rejects with SOCKETS_ERR_FLEET_UNAVAILABLE. */
  send (to: readonly string[], type: string, body: object): Promise<void>
  /**
   * Asks nodes, all if none are named, and waits for their answers until 250 ms after `since`, the time at which the caller began.
   * Rejects with SOCKETS_ERR_FLEET_UNAVAILABLE. @default since now
   */
  ask<T> (type: string, body: object, to?: readonly string[], since?: number): Promise<Answers<T>>
  /** Calls the listeners of an event. */
  emit<K extends keyof FleetEvents> (event: K, value: FleetEvents[K]): void
  /** Whether an event has a listener on this node. */
  listens (event: keyof FleetEvents): boolean
  /** Counts a text of the engine that could not be read. */
  ignore (): void
  /** Emits an act of administration on this node. */
  audit (act: Act): void
}
