/**
 * Options of the class, and what the application makes for a move.
 */

/** How the class behaves. */
export interface LifecycleClientOptions {
  /** Close codes after which the server wants no further attempts. @default [1008, 3003, 4001] */
  finalCodes?: readonly number[]
  /** How long attempts end at once after a final code, milliseconds. @default 60000 */
  finalFor?: number
  /**
   * How long `url` and `protocols` may take when they are functions, and how long the next connection of a move may take to open and
   * to be prepared, milliseconds. A connection that ends sooner counts as a failed attempt.
   * @default 10000
   */
  timeout?: number
  /** Offers the server to move connections before it goes (subprotocol `lifecycle.v1`). @default true */
  move?: boolean
  /** Makes the next connection of a move ready, for example by logging in; `fastify-websocket-lifecycle/client/prepare` has ready-made ones. */
  prepare?: Prepare
  /** Returns the key of a message: a message with a key that was delivered within `dedupeWindow` is not delivered again. */
  dedupe?: (data: any) => unknown
  /** Milliseconds. @default 10000 */
  dedupeWindow?: number
}

/** The next connection of a move, while it is prepared. */
export interface NextConnection {
  /** Sends a message on it. */
  send (data: any): void
  /**
   * Resolves with the next message on it, or the next that matches; binary ones are an ArrayBuffer. The application does not get that
   * one, and gets all others.
   */
  message (matches?: (data: any) => boolean): Promise<any>
}

/** Prepares the next connection of a move. */
export interface Prepare {
  /**
   * Called when the next connection is open; the application still uses the current one. A function that it returns is called in the
   * moment of the move: what the application has sent until then went to the current connection, what follows goes to the next.
   */
  (next: NextConnection, current: any): void | (() => void) | Promise<void | (() => void)>
  /** Called with what the application sends. */
  sent? (data: any, current: any): void
  /** Called with what the application gets. */
  received? (data: any, current: any): void
}
