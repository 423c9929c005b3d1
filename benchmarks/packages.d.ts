/**
 * Types of packages that are installed in this folder only, so that the benchmarks can be checked without them.
 */
declare module 'socket.io' {
  import type { Server as HttpServer } from 'node:http'

  export interface Socket {
    on (event: string, listener: (text: string) => void): this
    emit (event: string, text: string): boolean
  }

  export class Server {
    constructor (server: HttpServer, options: { transports: string[], pingInterval?: number })
    readonly engine: { readonly clientsCount: number }
    on (event: 'connection', listener: (socket: Socket) => void): this
    emit (event: string, text: string): boolean
    close (): Promise<void>
  }
}
