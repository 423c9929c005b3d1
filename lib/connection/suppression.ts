/**
 * Suppression of messages during a drain: listeners and cleanups of each closed connection may send to all that remain, which
 * is quadratic work.
 */
import type { Connection } from './connection.ts'

export interface Suppression {
  /** Calls code that runs because the drain has closed a connection. */
  call<T> (connection: Connection, call: () => T): T
  /** Returns true if such code of another connection sends to `to`, or broadcasts (null). The message is counted, and must not be sent. */
  applies (to: Connection | null): boolean
}

/** Suppresses nothing: before a drain, and with `drain.farewells`. */
export const NO_SUPPRESSION: Suppression = {
  call: (_connection, call) => call(),
  applies: () => false
}
