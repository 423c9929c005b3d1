/**
 * Calls of the processes of a deploy: servers with rooms, and crowds of clients. Types only.
 */

export interface RoomServerControl {
  /** Listens on this port; 0: on a free one. */
  start (port: number): Promise<{ port: number }>
  /** Sends a message to the clients of a room that are connected to this process. */
  publish (room: string, text: string): unknown
}

export interface CrowdOptions {
  url: string
  count: number
  /** The room of each client; the first takes the first one, and so on, all over again. */
  rooms: string[]
  /** File of the client class that partysocket uses; null: that of ws. */
  lifecycle: string | null
}

/** What the clients of one process have seen. */
export interface Counts {
  clients: number
  /** Milliseconds without an open connection: of the client that was without one longest, and of all. */
  longest: number
  total: number
  /** Longest time between two published messages of a client, milliseconds. */
  pause: number
  /** 'close' events. */
  closes: number
  /** Published messages that never came. */
  lost: number
  /** Messages that came more than once. */
  twice: number
  /** Questions that were sent, and those that have no answer. */
  asked: number
  unanswered: number
}

export interface CrowdControl {
  /** Opens all connections, a few at a time. */
  open (options: CrowdOptions): Promise<void>
  /** Lets every client send a question at this interval in milliseconds, evenly spread; 0 ends it. */
  ask (period: number): void
  /** Resolves when every client has an open connection. */
  connected (): Promise<void>
  /** Counts, given the number of messages that each room should have had. */
  counts (published: number): Counts
  /** When clients were closed, each that was: the last time. Microseconds of the monotonic clock. */
  closed (): number[]
}
