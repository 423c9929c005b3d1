/**
 * The heartbeat recipe of the README of ws: a flag per socket, and one timer that pings all clients.
 */
import type { WebSocket, WebSocketServer } from 'ws'

/** As in the README, milliseconds. */
const DEFAULT_INTERVAL = 30_000

/** Starts the recipe; `interval` as in ServerOptions. */
export function watchWithRecipe (server: WebSocketServer, interval: number | false | undefined): void {
  if (interval === false) return
  server.on('connection', (socket: WatchedSocket) => {
    socket.isAlive = true
    socket.on('error', () => {})
    socket.on('pong', heartbeat)
  })
  const timer = setInterval(() => {
    server.clients.forEach((client) => {
      const socket = client as WatchedSocket
      if (socket.isAlive === false) return socket.terminate()
      socket.isAlive = false
      socket.ping()
    })
  }, interval ?? DEFAULT_INTERVAL)
  server.on('close', () => { clearInterval(timer) })
}

interface WatchedSocket extends WebSocket { isAlive: boolean }

function heartbeat (this: WebSocket): void {
  (this as WatchedSocket).isAlive = true
}
