/**
 * The plugin of `fastify-websocket-lifecycle/tracing`: connects a tracker with OpenTelemetry.
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { check } from '../../base/check.ts'
import { SOCKETS_ERR_OPTION_CONFLICT } from '../../base/errors.ts'
import type { ManagedConnection } from '../../connection/managed-connection.ts'
import { knownKeys } from '../../options/keys.ts'
import type { ManagedTracker } from '../../track/managed-tracker.ts'
import { ConnectionTracing } from './connection-tracing.ts'
import type { MessageMode } from './connection-tracing.ts'
import { traceDrain } from './drain-span.ts'

/** Options of the tracing. */
export interface TracingOptions {
  /**
   * Which messages have a span: `'inherit'`, those of connections whose handshake is sampled; `'all'`; `false`: none, and what their
   * listeners trace belongs to the handshake. @default 'inherit'
   */
  messages?: false | 'inherit' | 'all'
}

const KEYS = ['messages', 'prefix', 'logLevel', 'logSerializers', 'encapsulate']

async function tracing (app: FastifyInstance, options: TracingOptions): Promise<void> {
  knownKeys('', options, KEYS)
  const messages = check.where<MessageMode>('messages', options.messages, 'inherit', (value) => value === false || value === 'inherit' || value === 'all', "'inherit', 'all' or false")
  const tracker = app.sockets as ManagedTracker
  if (tracker.tracing !== null) throw new SOCKETS_ERR_OPTION_CONFLICT('fastify-websocket-lifecycle/tracing is registered already')
  const spans = new ConnectionTracing(messages)
  tracker.tracing = spans
  tracker.on('closed', (connection, record) => { spans.closed(connection as ManagedConnection, record) })
  traceDrain(tracker)
}

/** The plugin. */
export const plugin = fp(tracing, {
  fastify: '5.x || 6.x',
  name: 'fastify-websocket-lifecycle/tracing',
  dependencies: ['fastify-websocket-lifecycle']
})
