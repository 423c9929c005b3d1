/**
 * A client over ws that moves when it is asked: a short form of what the class in lib/client does, with a part that a test may replace.
 */
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import type { Closed } from '../../lib/testing/connect.ts'
import { MOVED } from './mover.ts'
import type { Asked } from './mover.ts'

const PREFIX = '\u0001lifecycle:'

export interface MovingOptions {
  headers?: Record<string, string>
  protocols?: string[]
  /** Called with the new socket before the client says `moved`. */
  prepare?: (next: WebSocket) => unknown
}

export class MovingClient {
  /** Messages of the application, in the order in which it gets them. */
  readonly messages: string[] = []
  /** Resolves when the connection that the client uses has closed, and it was not asked to move. */
  readonly closed: Promise<Closed>
  /** How often it has moved. */
  moves = 0
  /** Moves that have failed. */
  readonly failures: unknown[] = []
  /** How connections that it has left were closed. */
  readonly left: Closed[] = []
  current!: WebSocket
  readonly #urlOf: () => string
  readonly #options: MovingOptions
  readonly #closed = deferred<Closed>()
  readonly #sockets = new Set<WebSocket>()

  constructor (t: TestContext, urlOf: () => string, options: MovingOptions = {}) {
    this.#urlOf = urlOf
    this.#options = options
    this.closed = this.#closed.promise
    t.after(() => { for (const socket of this.#sockets) socket.terminate() })
  }

  /** A client whose first connection is open. */
  static async connect (t: TestContext, urlOf: () => string, options?: MovingOptions): Promise<MovingClient> {
    const client = new MovingClient(t, urlOf, options)
    const { socket, hold } = await client.#open()
    client.current = socket
    hold.release()
    return client
  }

  send (data: string): void { this.current.send(data) }

  /** Opens a socket, whose messages are held back until it is released. */
  async #open (id?: string): Promise<{ socket: WebSocket, hold: { release (): void } }> {
    const { headers = {}, protocols = [] } = this.#options
    const socket = new WebSocket(this.#urlOf(), [...protocols, 'lifecycle.v1', ...(id === undefined ? [] : [`lifecycle.v1.${id}`])], { headers })
    this.#sockets.add(socket)
    const held: string[] = []
    let released = false
    socket.on('message', (data) => {
      const text = String(data)
      if (text.startsWith(PREFIX)) this.#asked(socket, JSON.parse(text.slice(PREFIX.length)) as Asked)
      else if (released) this.messages.push(text)
      else held.push(text)
    })
    const hold = {
      release: () => {
        released = true
        this.messages.push(...held.splice(0))
      }
    }
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('close', reject)
      socket.on('error', reject)
    })
    socket.on('close', (code, reason) => {
      this.#sockets.delete(socket)
      if (socket === this.current) this.#closed.resolve({ code, reason: String(reason) })
    })
    return { socket, hold }
  }

  #asked (old: WebSocket, { in: delay, id }: Asked): void {
    setTimeout(() => { this.#move(old, id).catch((error: unknown) => { this.failures.push(error) }) }, delay)
  }

  async #move (old: WebSocket, id: string): Promise<void> {
    const { socket, hold } = await this.#open(id)
    await this.#options.prepare?.(socket)
    if (old.readyState !== old.OPEN) throw new Error('the old connection has closed')
    old.send(MOVED)
    this.moves++
    this.current = socket
    old.once('close', (code, reason) => {
      this.left.push({ code, reason: String(reason) })
      hold.release()
    })
  }
}
