/**
 * The history: the records of the last connections that have closed, in a ring. Owner and address are in them only where the
 * option `history` keeps them; the record that events and promises have never has them.
 */
import type { CloseRecord } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'

/** What the history keeps. */
export interface HistorySettings {
  /** Number of records. */
  readonly size: number
  /** Whether records have the owner. */
  readonly owner: boolean
  /** Whether records have the address. */
  readonly ip: boolean
}

export class History {
  readonly #settings: HistorySettings
  readonly #records: CloseRecord[] = []
  /** Where the next record goes; the oldest is there once the ring is full. */
  #next = 0

  constructor (settings: HistorySettings) {
    this.#settings = settings
  }

  /** The records, oldest first. */
  get records (): CloseRecord[] { return [...this.#records.slice(this.#next), ...this.#records.slice(0, this.#next)] }

  add (connection: ManagedConnection, record: CloseRecord): void {
    const { size } = this.#settings
    if (size === 0) return
    this.#records[this.#next] = this.#settings.owner || this.#settings.ip ? { ...record, ...labelsOf(connection, this.#settings) } : record
    this.#next = (this.#next + 1) % size
  }
}

/** Returns what is kept of a connection besides its record. */
export function labelsOf ({ owner, ip }: ManagedConnection, kept: HistorySettings): Pick<CloseRecord, 'owner' | 'ip'> {
  return { ...(kept.owner && owner !== undefined ? { owner } : {}), ...(kept.ip ? { ip } : {}) }
}
