/**
 * The public data of `app.sockets.stats()`: plain numbers, safe to log and to send.
 */
import type { ClosedCount } from '../connection/route-counters.ts'
import type { DrainPhase } from './drain-report.ts'
import type { Histogram } from './histogram.ts'
import type { PolicyName } from './observation.ts'
import type { Counters } from './registry.ts'

/** State of the server: `running → draining → drained`. */
export type TrackerState = 'running' | 'draining' | 'drained'

/** Numbers in two directions. */
export interface Traffic {
  /** From clients. */
  received: number
  /** To clients. */
  sent: number
}

/** Numbers of one route. */
export interface RouteStats {
  /** Connections in the state `open`. */
  open: number
  /** Connections in the state `draining`. */
  draining: number
  /** Connections in the state `closing`. */
  closing: number
  /** Connections accepted. */
  opened: number
  /** Connections closed, by cause and code; pairs that have not occurred are left out. */
  closed: ClosedCount[]
  /** Messages: those that have arrived, delivered or not, and those that were sent. */
  messages: Traffic
  /** Bytes of the payload of these messages. */
  bytes: Traffic
}

/** What has become of broadcasts, counted once for each connection that one was for. */
export interface BroadcastCounts {
  /** The kernel has taken the message. */
  sent: number
  /** The message was queued in this process. */
  queued: number
  /** The message was not sent to the connection. */
  dropped: number
  /** Broadcasts, whatever the number of connections, that a drain has suppressed. */
  suppressed: number
}

/** What this node knows of its fleet. */
export interface FleetStats {
  /** Whether the engine answers. */
  state: 'up' | 'down'
  /** Nodes by state, by the last beat, this one included. */
  nodes: {
    /** Nodes that serve. */
    running: number
    /** Nodes that close their connections. */
    draining: number
  }
  /** Nodes whose lease this node has found ended. Each is counted by one node of the fleet. */
  lost: number
  /** Questions of this node to others, orders and broadcasts included, by outcome. */
  questions: {
    /** All nodes have answered. */
    complete: number
    /** A node was missing. */
    incomplete: number
    /** The question was not sent: the engine did not answer. */
    failed: number
  }
  /** Orders. */
  orders: {
    /** Orders of this node that other nodes have not carried out. */
    waiting: number
    /** Orders that this node has carried out. */
    done: number
  }
  /** Clients a second that this node can take, as the others know it; 0 while it drains. */
  capacity: number
  /** Clients a second that nodes which leave have booked for this moment, by the last beat. */
  arrivals: number
  /** Messages that were ignored. */
  ignored: number
}

/** A snapshot of numbers. */
export interface TrackerStats extends Counters {
  /** Connections that are not closed. */
  connections: number
  /** Connections with work in flight; closed ones count until their work has ended. */
  working: number
  /** State of the server. */
  state: TrackerState
  /** Actions that policies in observe mode would have taken, by policy. */
  observed: Partial<Record<PolicyName, number>>
  /**
   * By pattern of the route. `adopted`: connections whose route the plugin does not know, as those of adopted servers; `none`: those that
   * were only opened to be refused. These two are left out without a connection.
   */
  routes: Record<string, RouteStats>
  /** From 'upgrade' to the open socket, for handshakes that were accepted: without sockets that are only opened to be refused. */
  handshakes: Histogram
  /** Durations of closed connections, without those that were only opened to be refused. */
  durations: Histogram
  /** From a ping to its pong. */
  roundTrips: Histogram
  /** What has become of broadcasts. */
  broadcasts: BroadcastCounts
  /** Distinct owners of connections. */
  owners: number
  /** Connected clients, and those that a drain, pressure or the end of their lifetime has told a delay, as long as it has not passed. */
  expected: number
  /** Phase of the drain, and the milliseconds of its budget that are left; null before the drain. */
  drain: {
    /** The current phase. */
    phase: DrainPhase
    /** What is left of the budget, milliseconds; 0 after the drain. */
    remaining: number
  } | null
  /** What this node knows of its fleet; null without the option `fleet`. */
  fleet: FleetStats | null
}
