/**
 * Every channel name of `node:diagnostics_channel` in one place, and the mirror of the core's events on them.
 *
 * Channels are process-wide: each message carries its tracker. Nothing is built where nobody subscribes.
 */
import { channel } from 'node:diagnostics_channel'
import type { CloseRecord, Connection } from '../core/connection.ts'
import type { DrainProgress, DrainReport, DrainStart } from '../core/drain-report.ts'
import type { Observation } from '../core/enforcement.ts'
import type { LifecycleEvents, Refusal } from '../core/events.ts'
import type { Tracker } from '../app-sockets.ts'

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
  drained: 'fastify-websocket-lifecycle:drained'
} as const satisfies Record<keyof LifecycleEvents, string>

/** Event → what its channel carries beside `tracker`. */
export interface ChannelMessages {
  open: { connection: Connection }
  draining: { connection: Connection }
  closing: { connection: Connection }
  closed: { connection: Connection, record: CloseRecord }
  error: { error: unknown, connection: Connection }
  refused: { refusal: Refusal }
  observed: { observation: Observation }
  drain: { start: DrainStart }
  progress: { progress: DrainProgress }
  drained: { report: DrainReport }
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

  function mirror<K extends keyof LifecycleEvents> (event: K, toMessage: (...args: LifecycleEvents[K]) => ChannelMessages[K]): void {
    const events = channel(CHANNELS[event])
    tracker.on(event, (...args) => {
      if (events.hasSubscribers) events.publish({ tracker, ...toMessage(...args) })
    })
  }
}
