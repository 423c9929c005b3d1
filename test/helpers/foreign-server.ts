/**
 * A ws server on an HTTP server of its own, which an application may adopt.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import type { ServerOptions } from 'ws'
import type { Closed } from '../../lib/testing/connect.ts'
import { within } from './server.ts'

export interface ForeignServer {
  server: WebSocketServer
  http: Server
  /** Of the path `/`. */
  url: string
  connect (path?: string): Promise<{ socket: WebSocket, closed: Promise<Closed> }>
}

/** Starts the server; with `noServer` its HTTP server leaves upgrades to the test. It ends with the test. */
export async function startForeign (t: TestContext, options: ServerOptions = {}): Promise<ForeignServer> {
  const http = createServer((_request, response) => { response.end('foreign') })
  const server = new WebSocketServer({ ...options, ...(options.noServer ? {} : { server: http }) })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/`
  const sockets = new Set<WebSocket>()
  t.after(async () => {
    for (const socket of sockets) socket.terminate()
    for (const socket of server.clients ?? []) socket.terminate()
    server.close()
    http.closeAllConnections()
    await new Promise((resolve) => { http.close(resolve) })
  })
  return {
    server,
    http,
    url,
    connect: async (path = '/') => {
      const socket = new WebSocket(new URL(path, url))
      sockets.add(socket)
      const closed = new Promise<Closed>((resolve) => {
        socket.once('close', (code, reason) => { resolve({ code, reason: String(reason) }) })
      })
      await once(socket, 'open')
      return { socket, closed: within(5_000, closed, 'the client saw no end') }
    }
  }
}
