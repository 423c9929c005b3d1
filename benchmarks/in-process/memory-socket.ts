/**
 * A raw socket without a kernel below it: what is written to it is forgotten, what is pushed into it arrives.
 */
import { IncomingMessage } from 'node:http'
import type { Server } from 'node:http'
import { Socket } from 'node:net'
import { handshakeHeaders } from '../load/handshake.ts'

const NOTHING = Buffer.alloc(0)
const HEADERS = handshakeHeaders(80)

/** A net.Socket, for that is what a server looks for; it never has a handle. */
class MemorySocket extends Socket {
  override readonly remoteAddress = '127.0.0.1'
  /** How often something was written to it. */
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

/** What Node's own parser does with the headers of a request. */
interface ParsedMessage extends IncomingMessage {
  _addHeaderLines (headers: string[], count: number): void
}

/** A handshake as Node hands it to a server, but not yet handed over. */
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

/** Hands it over. */
export function upgrade (server: Server, { socket, request }: ReturnType<typeof handshake>): void {
  server.emit('upgrade', request, socket, NOTHING)
}
