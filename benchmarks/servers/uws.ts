/**
 * uWebSockets.js, from a package that carries its binaries (the npm entry of that name is a stub). Loaded as a binary, because
 * the package itself falls back to JavaScript if it has none for this Node.
 */
import { createRequire } from 'node:module'
import { serve } from './serve.ts'

interface UwsSocket {
  send (message: ArrayBuffer, isBinary: boolean): number
  subscribe (topic: string): boolean
  end (code: number): void
}

interface UwsApp {
  ws (path: string, behavior: {
    idleTimeout?: number
    sendPingsAutomatically: boolean
    open (socket: UwsSocket): void
    message (socket: UwsSocket, message: ArrayBuffer, isBinary: boolean): void
    close (socket: UwsSocket): void
  }): UwsApp
  listen (host: string, port: number, callback: (listener: object | false) => void): UwsApp
  publish (topic: string, message: string, isBinary: boolean): boolean
}

/** The part of its API that is used here. */
interface Binary {
  App (): UwsApp
  us_listen_socket_close (listener: object): void
  us_socket_local_port (listener: object): number
}

const TOPIC = 'everyone'
/** Its longest idle timeout, seconds. */
const NO_HEARTBEAT = 960

const { platform, arch, versions: { modules } } = process
const uws = createRequire(import.meta.url)(`@trufflesuite/uws-js-unofficial/binaries/uws_${platform}_${arch}_${modules}.node`) as Binary

serve(async ({ handler, heartbeat }) => {
  const app = uws.App()
  const sockets = new Set<UwsSocket>()
  app.ws('/', {
    sendPingsAutomatically: true,
    ...(heartbeat === undefined ? {} : { idleTimeout: heartbeat === false ? NO_HEARTBEAT : Math.min(NO_HEARTBEAT, Math.max(8, heartbeat / 1000)) }),
    open (socket) {
      sockets.add(socket)
      socket.subscribe(TOPIC)
    },
    message (socket, message, isBinary) { if (handler === 'echo') socket.send(message, isBinary) },
    close (socket) { sockets.delete(socket) }
  })
  const listener = await new Promise<object>((resolve, reject) => {
    app.listen('127.0.0.1', 0, (found) => { if (found) resolve(found); else reject(new Error('it does not listen')) })
  })
  return {
    port: uws.us_socket_local_port(listener),
    size: () => sockets.size,
    broadcast: (text) => app.publish(TOPIC, text, false),
    async close () {
      uws.us_listen_socket_close(listener)
      for (const socket of [...sockets]) socket.end(1001)
    }
  }
})
