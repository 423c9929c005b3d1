/**
 * Who a connection is: what the handshake told, its owner, its labels and its logger. What happens to it is in
 * managed-connection.ts.
 */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { ConnectionData, ConnectionState } from './connection.ts'
import type { ConnectionFacts, ConnectionHost } from './host.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import type { Extras } from './extras.ts'
import type { ManagedConnection } from './managed-connection.ts'

const NO_TAGS: ReadonlySet<string> = new Set()

let lastId = 0

export abstract class Identity {
  readonly id: number = ++lastId
  readonly socket: WebSocket
  readonly route: string
  readonly ip: string
  readonly requestId: string
  protected readonly host: ConnectionHost
  /** What most connections never need. */
  protected rare: Extras | null = null
  /** Milliseconds from the start of the tracker to its own: a small number needs no memory of its own. */
  readonly #opened: number
  #owner: string | undefined

  constructor (host: ConnectionHost, socket: WebSocket, facts: ConnectionFacts) {
    this.host = host
    this.socket = socket
    this.#opened = Math.round(host.clock.wallNow() - host.epoch)
    this.route = facts.route
    this.ip = facts.ip
    this.requestId = facts.requestId
    if (facts.request !== undefined) this.extras.request = facts.request
  }

  abstract readonly state: ConnectionState

  protected abstract readonly isEnding: boolean

  get openedAt (): number { return this.host.epoch + this.#opened }
  get owner (): string | undefined { return this.#owner }
  get tags (): ReadonlySet<string> { return this.rare?.tags ?? NO_TAGS }
  get log (): FastifyBaseLogger { return (this.extras.log ??= this.host.childLogger(this.self)) }
  get request (): FastifyRequest | undefined { return this.rare?.request }
  get data (): ConnectionData { return (this.extras.data ??= {}) }
  set data (data: ConnectionData) { this.extras.data = data }

  /** What most connections never need; made when first asked for. */
  get extras (): Extras { return (this.rare ??= {}) }

  // Not a private method: those cost every connection a field.
  protected get self (): ManagedConnection { return this as unknown as ManagedConnection }

  /** Logs a line; where a serializer trips over its fields, it goes out without. A drain logs only so many. */
  note (level: 'debug' | 'warn' | 'error', fields: object, message: string): void {
    if (level !== 'debug' && !this.host.lines.spend(message)) return
    attempt(() => this.log[level](fields, message), () => {
      attempt(() => this.log[level]({}, message), () => {})
    })
  }

  /** Whether it is a connection of this tracker. */
  belongsTo (host: ConnectionHost): boolean { return this.host === host }

  setOwner (owner: string | undefined): boolean {
    if (owner !== undefined && typeof owner !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT('owner', 'a string or undefined', typeof owner)
    if (this.state !== 'closed') this.host.registry.moveOwner(this.self, this.#owner, owner)
    this.#owner = owner
    return !this.isEnding && (this.host.gatekeeper?.ownerSet(this.self, owner) ?? true)
  }

  tag (...tags: string[]): void {
    for (const tag of tags) if (typeof tag !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT('tag', 'a string', typeof tag)
    const added = tags.filter((tag) => !this.tags.has(tag))
    if (this.state === 'closed' || added.length === 0) return
    // A new set: whoever has read the tags has a snapshot.
    this.extras.tags = new Set([...this.tags, ...added])
    for (const tag of added) this.host.registry.addTag(this.self, tag)
  }

  /** What a logger or JSON.stringify shows: enough to find it, nothing private. */
  toJSON (): object {
    return { id: this.id, route: this.route, state: this.state, openedAt: this.openedAt }
  }

  untag (...tags: string[]): void {
    const gone = tags.filter((tag) => this.tags.has(tag))
    if (gone.length === 0) return
    const left = new Set(this.tags)
    this.extras.tags = left
    for (const tag of gone) {
      left.delete(tag)
      this.host.registry.removeTag(this.self, tag)
    }
  }
}
