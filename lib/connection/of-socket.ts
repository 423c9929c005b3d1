/** Finds the connection of a socket. */
import type { WebSocket } from 'ws'
import type { ManagedConnection } from './managed-connection.ts'

/** Property of a socket that holds its connection: it costs less than an entry in a map. */
export const kConnection = Symbol('fastify-websocket-lifecycle.connection')

/** Property of a socket that holds what tracing keeps of its handshake, for the same reason: every message asks for it. */
export const kTrace = Symbol('fastify-websocket-lifecycle.trace')

/** Returns the connection of a socket, if it has one. */
export function connectionOf (socket: WebSocket): ManagedConnection | undefined {
  return (socket as { [kConnection]?: ManagedConnection } | null | undefined)?.[kConnection]
}
