/**
 * Moving a client to a new connection before its old one closes (docs/reference/protocol.md). lib/move implements it; the drain, the
 * lifetime and the pressure policy ask for moves.
 */

/** Time that a client has to move after its turn, milliseconds. Then its old connection is closed in the ordinary way. */
export const MOVE_TIME = 5_000

export interface Mover<C> {
  /** Whether the client can be asked to move. */
  canAsk (connection: C): boolean
  /**
   * Asks the client to move in `delay` milliseconds; until it has begun, the last of several delays counts. Returns false if the
   * client cannot be asked. The caller closes the connection if the client has not moved MOVE_TIME after its turn.
   */
  ask (connection: C, delay: number): boolean
  /** Whether the client has moved: the connection is closed when its work has ended. */
  moved (connection: C): boolean
  /** Closes the connection of a client that has moved. */
  end (connection: C): void
  /** Asks the client to move now. Resolves with false if it has not moved within MOVE_TIME; the connection then goes on. */
  move (connection: C): Promise<boolean>
}
