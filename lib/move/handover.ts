/**
 * Handover: the state that the application gives a connection, kept in a store while its client is between two connections.
 *
 * The client holds an id for the state and offers it in its next handshake. The state is put into the store when the client is asked
 * to move, and right before a close frame that invites it to come back. A record names its path and its owner; only a connection of
 * both sees the state. If the store is slow, throws or never answers, the state is lost, and nothing waits for it.
 */
import { Buffer } from 'node:buffer'
import { invitesBack, retryIn } from '../base/close-codes.ts'
import { attempt, isThenable } from '../base/guard.ts'
import type { Handovers } from '../connection/handovers.ts'
import type { ConnectionHost } from '../connection/host.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { handoverFrame, newId } from './control-frames.ts'
import { stateToJson } from './handover-state.ts'
import type { HandoverStore } from './handover-store.ts'

/** How long a state waits for a client that should be back, milliseconds. */
const WAIT = 30_000

/** What handovers need. */
export interface HandoverHost extends Pick<ConnectionHost<ManagedConnection>, 'clock' | 'transport'> {
  readonly store: HandoverStore
  /** Whether the client has moved to another connection. */
  moved (connection: ManagedConnection): boolean
  /** The key by which the client knows our frames. */
  keyOf (connection: ManagedConnection): string | undefined
  /** The store has thrown or rejected; its error may have the state in it. */
  storeFailed (): void
}

/** What a connection hands over. */
interface Kept {
  /** Path of its handshake, without the query string. */
  readonly path: string
  /** Empty if there is no state. */
  record: string
  /** Id that the client was given when it was asked to move, and until when the record waits under it. */
  asked: { readonly id: string, readonly until: number, stored: boolean } | undefined
}

/** What a connection was handed. */
interface Handed {
  readonly owner: string | undefined
  readonly state: unknown
}

export class StoredHandovers implements Handovers<ManagedConnection> {
  readonly #host: HandoverHost
  readonly #kept = new Map<ManagedConnection, Kept>()
  readonly #handed = new WeakMap<ManagedConnection, Handed>()

  constructor (host: HandoverHost) {
    this.#host = host
  }

  /** Number of connections whose clients have offered the protocol. */
  get size (): number { return this.#kept.size }

  /** The client of a new connection has offered the protocol; `record` was taken in its handshake. */
  offered (connection: ManagedConnection, path: string, record = ''): void {
    // A copy: the path is a slice of the URL, and would keep the query string in memory, where a token may be.
    const kept = { path: Buffer.from(path).toString(), record: '', asked: undefined }
    this.#kept.set(connection, kept)
    if (record !== '') this.#give(connection, kept.path, record)
  }

  keep (connection: ManagedConnection, state: unknown): void {
    const json = state === undefined ? undefined : stateToJson(state)
    const kept = this.#kept.get(connection)
    if (kept === undefined) return
    // The owner of now: another one may be set before the state is stored.
    kept.record = json === undefined ? '' : JSON.stringify({ path: kept.path, owner: connection.owner, state: json })
    this.#store(kept)
  }

  // Compared when it is read: an application may learn the owner after the handshake, and may change it.
  handed (connection: ManagedConnection): unknown {
    const handed = this.#handed.get(connection)
    return handed !== undefined && handed.owner === connection.owner ? handed.state : undefined
  }

  /** Takes the record of an offer. Returns null if the store has answered at once, else a promise that never rejects. */
  take (offer: { readonly id: string | undefined, record?: string | undefined }): PromiseLike<void> | null {
    const { id } = offer
    if (id === undefined) return null
    const set = (record?: string | null): void => { offer.record = record ?? undefined }
    const taken = this.#attempt((store) => store.take(id))
    if (isThenable(taken)) return taken.then(set, () => {})
    set(taken)
    return null
  }

  /** The client was asked to move in `delay` milliseconds, and will offer `id`. */
  asked (connection: ManagedConnection, id: string, delay: number): void {
    const kept = this.#kept.get(connection)
    if (kept === undefined) return
    kept.asked = { id, until: this.#host.clock.now() + delay + WAIT, stored: kept.asked?.id === id && kept.asked.stored }
    this.#store(kept)
  }

  // ——— hooks of connections

  /** A close frame of ours is about to be sent. */
  ending (connection: ManagedConnection, code: number, reason: string): void {
    const { record = '', asked } = this.#kept.get(connection) ?? {}
    if (record === '' || !invitesBack(code) || this.#host.moved(connection)) return
    // The id of a move that has failed may have been offered.
    if (asked?.stored) this.#attempt((store) => store.take(asked.id))
    const id = newId()
    if (!this.#host.transport.writeText(connection.socket, handoverFrame(id, this.#host.keyOf(connection)))) return
    this.#attempt((store) => store.put(id, record, retryIn(reason) + WAIT))
  }

  closing (connection: ManagedConnection): void { this.#kept.delete(connection) }

  #give (connection: ManagedConnection, path: string, record: string): void {
    const handed = attempt(() => {
      const { path: of, owner, state } = JSON.parse(record) as { path: string, owner?: string, state: string }
      return of === path ? { owner, state: JSON.parse(state) as unknown } : undefined
    }, this.#failed)
    if (handed !== undefined) this.#handed.set(connection, handed)
  }

  /** Puts the record of a connection that was asked to move into the store, or what has changed. */
  #store ({ record, asked }: Kept): void {
    if (asked === undefined) return
    const ttl = asked.until - this.#host.clock.now()
    if (ttl <= 0) return
    if (asked.stored) {
      this.#attempt((store) => store.replace(asked.id, record, ttl))
    } else if (record !== '') {
      this.#attempt((store) => store.put(asked.id, record, ttl))
      asked.stored = true
    }
  }

  #attempt<T> (call: (store: HandoverStore) => T): T | undefined { return attempt(() => call(this.#host.store), this.#failed) }

  // The error is not passed on: Redis clients name the command and its arguments in theirs.
  readonly #failed = (): void => { this.#host.storeFailed() }
}
