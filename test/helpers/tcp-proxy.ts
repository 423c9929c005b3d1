/**
 * A TCP proxy in front of a server: delays what the server answers, is silent, or ends a connection in the place of the next answer.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Scope } from './scope.ts'

export class TcpProxy {
  /** Milliseconds by which each answer comes later. */
  delay = 0
  /** Whether the connection of the next answer ends instead of it. */
  dropNext = false
  /** Whether nothing gets through, as if packets were lost. What was sent meanwhile is gone: end it with cut(). */
  silent = false
  readonly #server: Server
  readonly #target: number
  readonly #sockets = new Set<Socket>()

  constructor (target: number) {
    this.#target = target
    this.#server = createServer((client) => { this.#accept(client) })
  }

  get port (): number { return (this.#server.address() as AddressInfo).port }

  async start (host: string): Promise<void> {
    this.#server.listen(0, host)
    await once(this.#server, 'listening')
  }

  async close (): Promise<void> {
    this.#server.close()
    this.cut()
    await once(this.#server, 'close')
  }

  /** Ends all connections. */
  cut (): void { for (const socket of this.#sockets) socket.destroy() }

  #accept (client: Socket): void {
    const server = connect(this.#target, '127.0.0.1')
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (data) => { if (!this.silent) server.write(data) })
    server.on('data', (data) => {
      if (this.silent) return
      if (this.dropNext) {
        this.dropNext = false
        client.destroy()
      } else if (this.delay === 0) {
        client.write(data)
      } else {
        setTimeout(() => { client.write(data) }, this.delay)
      }
    })
  }
}

/** Starts a proxy that ends with the test. */
export async function startProxy (t: Pick<Scope, 'after'>, target: number, host = '127.0.0.1'): Promise<TcpProxy> {
  const proxy = new TcpProxy(target)
  await proxy.start(host)
  t.after(() => proxy.close())
  return proxy
}
