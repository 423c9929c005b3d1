/**
 * Counts the clients that are connected, or about to come back: a deploy moves them, and does not change their number.
 *
 * A connection counts from its handshake until it closes, or until its client has moved to a new one. A client that a close frame has
 * told a delay (`retry=`) counts for that time from then on, wherever it comes back: the sum over all servers stays the same. Only
 * the closes that move clients do that. A client that is refused, or closed by the application, may come back before the delay has
 * passed: with each attempt it would count once more.
 */
import type { CloseCause } from '../base/close-codes.ts'
import { retryIn } from '../base/close-codes.ts'
import type { Clock } from '../base/clock.ts'
import type { ConnectionHooks } from '../connection/hooks.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'

/** Buckets of time, in which clients that come back are counted. */
const BUCKETS = 4096

/** Closes that move clients. */
const MOVING: ReadonlySet<CloseCause> = new Set(['drain', 'leave', 'lifetime', 'rebalance'])

/** What the count needs. */
export interface ExpectedHost {
  readonly clock: Pick<Clock, 'now'>
  /** The longest delay that counts, milliseconds. */
  readonly longestDelay: number
  /** Whether the client of a connection has moved to a new one. */
  moved (connection: ManagedConnection): boolean
}

export class Expected implements Partial<ConnectionHooks<ManagedConnection>> {
  readonly #host: ExpectedHost
  /** Length of a bucket, milliseconds. */
  readonly #width: number
  /** Number of clients that come back in each bucket: a ring, made when the first client is told a delay. */
  #ring: Uint32Array | null = null
  /** Number of the current bucket since the start of the clock. */
  #current = 0
  #open = 0
  #away = 0

  constructor (host: ExpectedHost) {
    this.#host = host
    this.#width = Math.max(1, host.longestDelay / (BUCKETS - 2))
  }

  /** Connected clients, and those that are told to come back. */
  get count (): number {
    this.#advance()
    return this.#open + this.#away
  }

  accepted (): void { this.#open++ }

  moved (): void { this.#open-- }

  closing (connection: ManagedConnection): void {
    if (!this.#host.moved(connection)) this.#open--
  }

  ending (_connection: ManagedConnection, _code: number, reason: string, cause: CloseCause): void {
    const delay = MOVING.has(cause) ? Math.min(retryIn(reason), this.#host.longestDelay) : 0
    if (delay === 0) return
    this.#advance()
    this.#ring ??= new Uint32Array(BUCKETS)
    // Rounded up: the client needs time to connect, too.
    this.#ring[Math.ceil((this.#host.clock.now() + delay) / this.#width) % BUCKETS]!++
    this.#away++
  }

  /** Takes those out whose time has passed. */
  #advance (): void {
    const now = Math.floor(this.#host.clock.now() / this.#width)
    if (this.#ring !== null) {
      for (let passed = Math.min(now - this.#current, BUCKETS); passed > 0; passed--) {
        const bucket = (now - passed + 1) % BUCKETS
        this.#away -= this.#ring[bucket]!
        this.#ring[bucket] = 0
      }
    }
    this.#current = now
  }
}
