/**
 * The handover of a connection's state to the next connection of its client, for `connection.handover()` and `connection.handed`.
 * lib/move implements it.
 */
export interface Handovers<C> {
  /** Keeps the state to hand over; undefined: none. Throws SOCKETS_ERR_INVALID_HANDOVER. */
  keep (connection: C, state: unknown): void
  /** The state that the client's last connection has handed over; undefined if none, or if the owner is another one. */
  handed (connection: C): unknown
}
