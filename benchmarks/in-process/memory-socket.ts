/**
 * A raw socket without a kernel below it: written data is discarded, pushed data arrives.
 */
import { IncomingMessage } from 'node:http'
import type { Server } from 'node:http'
import { Socket } from 'node:net'
import { handshakeHeaders } from '../load/handshake.ts'

const NOTHING = Buffer.alloc(0)
const HEADERS = handshakeHeaders(80)

/** A net.Socket, because a server checks for that class; it never has a handle. */
class MemorySocket extends Socket {
  override readonly remoteAddress = '127.0.0.1'
  /** Number of writes. */
  writes = 0

  override _write (_chunk: Buffer, _encoding: string, callback: () => void): void {
    this.writes++
    callback()
  }

  override _writev (_chunks: unknown[], callback: () => void): void {
    this.writes++
    callback()
  }

  override _read (): void {}
  override _final (callback: () => void): void { callback() }
}

/** Sets headers on a request as Node's parser does. */
interface ParsedMessage extends IncomingMessage {
  _addHeaderLines (headers: string[], count: number): void
}

/** A handshake as Node passes it to a server, not yet passed on. */
export function handshake (path: string): { socket: MemorySocket, request: IncomingMessage } {
  const socket = new MemorySocket()
  const request = new IncomingMessage(socket) as ParsedMessage
  request.method = 'GET'
  request.url = path
  request.httpVersion = '1.1'
  request.httpVersionMajor = 1
  request.httpVersionMinor = 1
  request._addHeaderLines(HEADERS, HEADERS.length)
  request.complete = true
  return { socket, request }
}

/** Passes it to the server. */
export function upgrade (server: Server, { socket, request }: ReturnType<typeof handshake>): void {
  server.emit('upgrade', request, socket, NOTHING)
}
