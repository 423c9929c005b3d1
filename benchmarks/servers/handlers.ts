/**
 * The handlers of the route under test, the same for every candidate that has sockets of ws.
 */
import type { WebSocket } from 'ws'
import type { Handler } from './control.ts'

/** A listener that ignores the message. */
function ignore (): void {}

/** A sync handler adds its listener and returns; async ones stay suspended until the socket closes. */
export const handlers: Record<Handler, (socket: WebSocket, request: unknown) => void | Promise<void>> = {
  sync (socket) {
    socket.on('message', ignore)
  },
  async async (socket) {
    socket.on('message', ignore)
    await closed(socket)
  },
  async 'async-request' (socket, request) {
    socket.on('message', ignore)
    await closed(socket)
    // Used after the wait, so that V8 must keep it.
    ignore.call(request)
  },
  echo (socket) {
    socket.on('message', (data: Buffer, isBinary) => { socket.send(data, { binary: isBinary }) })
  }
}

function closed (socket: WebSocket): Promise<void> {
  return new Promise((resolve) => { socket.on('close', () => { resolve() }) })
}

/** Sends to all clients in a loop, as with ws alone. */
export function sendToAll (sockets: Iterable<WebSocket>, text: string): void {
  for (const socket of sockets) if (socket.readyState === socket.OPEN) socket.send(text)
}
