/**
 * The channels of `node:diagnostics_channel`, and the publishers of the events of a tracker and of its fleet on them.
 *
 * Channels are process-wide: each message carries its tracker. A message is created only if its channel has subscribers.
 */
import { channel } from 'node:diagnostics_channel'
import type { CloseRecord, Connection } from '../connection/connection.ts'
import type { AuditRecord } from '../track/audit.ts'
import type { DrainProgress, DrainReport, DrainStart } from '../track/drain-report.ts'
import type { Observation } from '../track/observation.ts'
import type { LifecycleEvents, Refusal } from '../track/events.ts'
import type { FleetChannels, FleetEvents } from '../track/fleet.ts'
import type { Tracker } from '../track/tracker.ts'

/** Event → channel name. */
export const CHANNELS = {
  open: 'fastify-websocket-lifecycle:open',
  draining: 'fastify-websocket-lifecycle:draining',
  closing: 'fastify-websocket-lifecycle:closing',
  closed: 'fastify-websocket-lifecycle:closed',
  error: 'fastify-websocket-lifecycle:error',
  refused: 'fastify-websocket-lifecycle:refused',
  observed: 'fastify-websocket-lifecycle:observed',
  drain: 'fastify-websocket-lifecycle:drain',
  progress: 'fastify-websocket-lifecycle:progress',
  drained: 'fastify-websocket-lifecycle:drained',
  audit: 'fastify-websocket-lifecycle:audit'
} as const satisfies Record<keyof LifecycleEvents, string>

/** Event of the fleet → channel name. */
export const FLEET_CHANNELS = {
  joined: 'fastify-websocket-lifecycle:fleet:joined',
  left: 'fastify-websocket-lifecycle:fleet:left',
  lost: 'fastify-websocket-lifecycle:fleet:lost',
  up: 'fastify-websocket-lifecycle:fleet:up',
  down: 'fastify-websocket-lifecycle:fleet:down',
  online: 'fastify-websocket-lifecycle:fleet:online',
  offline: 'fastify-websocket-lifecycle:fleet:offline'
} as const satisfies Record<keyof FleetEvents, string>

/** Event → what its channel carries beside `tracker`. */
export interface ChannelMessages {
  /** A connection was accepted. */
  open: {
    /** The connection. */
    connection: Connection
  }
  /** The server drains; the connection's `drainSignal` is aborted next. */
  draining: {
    /** The connection. */
    connection: Connection
  }
  /** A close frame was sent or has arrived, or the raw socket is gone. */
  closing: {
    /** The connection. */
    connection: Connection
  }
  /** The raw socket is gone and the cleanups have settled. */
  closed: {
    /** The connection. */
    connection: Connection
    /** How it ended. */
    record: CloseRecord
  }
  /** Code that belongs to a connection threw or rejected. */
  error: {
    /** What was thrown. */
    error: unknown
    /** The connection. */
    connection: Connection
  }
  /** A handshake was refused. */
  refused: {
    /** The reason, and the client's address. */
    refusal: Refusal
  }
  /** A policy that only observes would have acted. */
  observed: {
    /** What the policy would have done. */
    observation: Observation
  }
  /** A drain has started. */
  drain: {
    /** What started the drain, and its budget. */
    start: DrainStart
  }
  /** A phase of the drain has begun, or a phase goes on. */
  progress: {
    /** Where the drain is. */
    progress: DrainProgress
  }
  /** The drain has ended. */
  drained: {
    /** What the drain has done. */
    report: DrainReport
  }
  /** The application or an operator has called `disconnect()` or `drain()`, or was refused it. */
  audit: {
    /** What was asked for, by whom, and its result. */
    act: AuditRecord
  }
}

/** Publishes every event of a tracker on its channel. */
export function mirrorToChannels (tracker: Tracker): void {
  mirror('open', (connection) => ({ connection }))
  mirror('draining', (connection) => ({ connection }))
  mirror('closing', (connection) => ({ connection }))
  mirror('closed', (connection, record) => ({ connection, record }))
  mirror('error', (error, connection) => ({ error, connection }))
  mirror('refused', (refusal) => ({ refusal }))
  mirror('observed', (observation) => ({ observation }))
  mirror('drain', (start) => ({ start }))
  mirror('progress', (progress) => ({ progress }))
  mirror('drained', (report) => ({ report }))
  mirror('audit', (act) => ({ act }))

  function mirror<K extends keyof LifecycleEvents> (event: K, toMessage: (...args: LifecycleEvents[K]) => ChannelMessages[K]): void {
    const events = channel(CHANNELS[event])
    tracker.on(event, (...args) => {
      if (events.hasSubscribers) events.publish({ tracker, ...toMessage(...args) })
    })
  }
}

/** Returns the channels of the fleet of a tracker: a message is what listeners of the event get, with the tracker. */
export function fleetChannels (tracker: () => Tracker): FleetChannels {
  const channels = new Map(Object.entries(FLEET_CHANNELS).map(([event, name]) => [event, channel(name)]))
  return {
    hears: (event) => channels.get(event)!.hasSubscribers,
    publish: (event, value) => {
      const events = channels.get(event)!
      if (events.hasSubscribers) events.publish({ ...value, tracker: tracker() })
    }
  }
}
