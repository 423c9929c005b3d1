/** Finds the connection of a socket. */
import type { WebSocket } from 'ws'
import type { ManagedConnection } from './managed-connection.ts'

/** Property of a socket that holds its connection: it costs less than an entry in a map. */
export const kConnection = Symbol('fastify-websocket-lifecycle.connection')

/** Returns the connection of a socket, if it has one. */
export function connectionOf (socket: WebSocket): ManagedConnection | undefined {
  return (socket as { [kConnection]?: ManagedConnection } | null | undefined)?.[kConnection]
}
