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

/** What is kept of a connection besides its record. */
type Labels = Pick<CloseRecord, 'owner' | 'ip'>

const NONE: Labels = Object.freeze({})

export class History {
  readonly #settings: HistorySettings
  readonly #records: CloseRecord[] = []
  /** The labels of each record, if any are kept: a copy of the record with them would take four times its memory. */
  readonly #labels: Labels[] = []
  /** Where the next record goes; the oldest is there once the ring is full. */
  #next = 0

  constructor (settings: HistorySettings) {
    this.#settings = settings
  }

  add (connection: ManagedConnection, record: CloseRecord): void {
    const { size, owner, ip } = this.#settings
    if (size === 0) return
    this.#records[this.#next] = record
    if (owner || ip) this.#labels[this.#next] = labelsOf(connection, this.#settings)
    this.#next = (this.#next + 1) % size
  }

  /** Returns the records of which a field has a value, or all of them, oldest first. */
  find (key?: 'id' | 'owner' | 'requestId', value?: unknown): CloseRecord[] {
    const found: CloseRecord[] = []
    const { length } = this.#records
    for (let i = 0; i < length; i++) {
      const at = (this.#next + i) % length
      const record = this.#records[at]!
      const labels = this.#labels[at] ?? NONE
      if (key === undefined || (key === 'owner' ? labels.owner : record[key]) === value) found.push(labels === NONE ? record : { ...record, ...labels })
    }
    return found
  }
}

/** Returns what is kept of a connection besides its record. */
export function labelsOf ({ owner, ip }: ManagedConnection, kept: HistorySettings): Labels {
  return { ...(kept.owner && owner !== undefined ? { owner } : {}), ...(kept.ip ? { ip } : {}) }
}
