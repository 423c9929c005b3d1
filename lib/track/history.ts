/**
 * The history: the records of the last connections that have closed, in a ring. Owner and address are in them only where the
 * option `history` keeps them; the record that events and promises have never has them.
 */
import type { CloseRecord } from '../connection/connection.ts'
import { ownText } from '../connection/facts.ts'
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

/** A record, and the owner where the history keeps it. */
export interface HistoryEntry {
  readonly id: number
  readonly record: CloseRecord
  readonly owner: string | undefined
}

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

  /** All of the history, oldest first. No record is copied: that takes 10 ms of 10,000. */
  get entries (): HistoryEntry[] {
    const entries: HistoryEntry[] = []
    for (let i = 0; i < this.#records.length; i++) {
      const at = this.#at(i)
      const record = this.#records[at]!
      entries.push({ id: record.id, record, owner: this.#labels[at]?.owner })
    }
    return entries
  }

  /** Returns the records of which a field has a value, or all of them, oldest first; of more than `most` those with the highest ids. */
  find (key?: 'id' | 'owner' | 'requestId', value?: unknown, most = Infinity): CloseRecord[] {
    const found: number[] = []
    for (let i = 0; i < this.#records.length; i++) {
      const at = this.#at(i)
      if (key === undefined || (key === 'owner' ? this.#labels[at]?.owner : this.#records[at]![key]) === value) found.push(at)
    }
    return newest(found, most, (at) => this.#records[at]!.id).map((at) => {
      const labels = this.#labels[at]
      return labels === undefined ? this.#records[at]! : { ...this.#records[at]!, ...labels }
    })
  }

  /** Where the record is that `i` others are older than. */
  #at (i: number): number { return (this.#next + i) % this.#records.length }
}

/** Returns the entries with the highest ids, at most `most`, in their order. */
export function newest<T> (entries: T[], most: number, idOf: (entry: T) => number): T[] {
  if (entries.length <= most) return entries
  const ids = new Float64Array(entries.length)
  for (let i = 0; i < ids.length; i++) ids[i] = idOf(entries[i]!)
  // Numbers in a typed array are sorted without calls of a function.
  const least = ids.sort()[ids.length - most]!
  return entries.filter((entry) => idOf(entry) >= least)
}

/** Returns what is kept of a connection besides its record. */
export function labelsOf ({ owner, ip }: ManagedConnection, kept: HistorySettings): Labels {
  return { ...(kept.owner && owner !== undefined ? { owner: ownText(owner) } : {}), ...(kept.ip ? { ip } : {}) }
}
