/**
 * Messages that code of drained connections sends to other connections: a drain may keep them from being sent.
 */
import type { Connection } from './connection.ts'

export interface Suppression {
  /** Calls code that runs because the drain has closed a connection. */
  call<T> (connection: Connection, call: () => T): T
  /** Returns whether a message to `to`, or a broadcast (null), comes from such code of another connection; counts it. It is not sent then. */
  applies (to: Connection | null): boolean
}

/** Outside of a drain, and where farewells are wanted: every message is sent. */
export const NO_SUPPRESSION: Suppression = {
  call: (_connection, call) => call(),
  applies: () => false
}
