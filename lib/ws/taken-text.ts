/**
 * Text messages that the plugin takes before listeners, streams and counters see them. Only sockets whose messages are looked at
 * have this `emit`: all others pay nothing.
 */
import type { Buffer } from 'node:buffer'
import type { WebSocket } from 'ws'

/** Calls `take` with each text message of a socket; a message for which it returns true goes no further. */
export function takeText (socket: WebSocket, take: (message: Buffer) => boolean): void {
  const { emit } = socket
  const value = function (this: WebSocket, ...args: unknown[]): boolean {
    if (args[0] === 'message' && args[2] === false && take(args[1] as Buffer)) return true
    return Reflect.apply(emit, this, args) as boolean
  }
  Object.defineProperty(socket, 'emit', { configurable: true, writable: true, value })
}
