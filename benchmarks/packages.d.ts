/**
 * Types of packages that are installed in this folder only, so that the benchmarks can be checked without them.
 */
declare module 'socket.io' {
  import type { Server as HttpServer } from 'node:http'

  export interface Socket {
    readonly handshake: { readonly query: Readonly<Record<string, string | undefined>> }
    on (event: string, listener: (text: string) => void): this
    emit (event: string, text: string): boolean
    join (room: string): Promise<void> | void
  }

  /** Sockets of all nodes, or those in a room. */
  interface Selection {
    emit (event: string, text: string): boolean
    fetchSockets (): Promise<unknown[]>
    disconnectSockets (close?: boolean): void
  }

  export class Server implements Selection {
    constructor (server: HttpServer, options: { transports: string[], pingInterval?: number, adapter?: object })
    readonly engine: { readonly clientsCount: number }
    on (event: 'connection', listener: (socket: Socket) => void): this
    emit (event: string, text: string): boolean
    fetchSockets (): Promise<unknown[]>
    disconnectSockets (close?: boolean): void
    in (room: string): Selection
    to (room: string): Selection
    of (namespace: string): { readonly adapter: { serverCount (): Promise<number> } }
    close (): Promise<void>
  }
}

declare module '@socket.io/redis-adapter' {
  export function createAdapter (publisher: object, subscriber: object): object
}

declare module '@socket.io/redis-streams-adapter' {
  export function createAdapter (redis: object): object
}
