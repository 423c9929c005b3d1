/**
 * What a server under test can be asked, and how it is set up. Types only.
 */
import type { ProfilePart } from '../results.ts'

/** What the route's handler is. */
export type Handler =
  /** `(socket) => { socket.on('message', …) }` */
  | 'sync'
  /** `async (socket) => …`, suspended as long as the socket lives. */
  | 'async'
  /** `async (socket, request) => …`, likewise, with the request at hand. */
  | 'async-request'
  /** Sends every message back. */
  | 'echo'

/** Features of the plugin that are off by default and cost each connection something. */
export type Feature = 'idleTimeout' | 'maxLifetime' | 'limits' | 'owner' | 'rates'

export interface ServerOptions {
  handler: Handler
  /** Milliseconds from beat to beat; false: none. Left out: what the candidate does by itself. */
  heartbeat?: number | false
  /** Of ours: what is on besides. */
  features?: Feature[]
  /** Of raw writes: in slices of 2 ms. */
  slices?: boolean
}

/** Use of the process so far. */
export interface Sample {
  /** User and system time, microseconds. */
  cpu: number
  connections: number
}

export interface Memory {
  /** V8 heap after garbage collection, bytes. */
  heap: number
  /** Resident set, bytes. */
  resident: number
}

/** The longest time for which the event loop did not turn, milliseconds. */
export interface Stalls {
  /** As it was. */
  longest: number
  /** Without the pauses of the garbage collector. */
  apart: number
  /** The same, where the process itself was at work: others on the machine may have had the core meanwhile. */
  own: number
  /** The longest pause of the garbage collector. */
  collection: number
}

/** What the main thread did, microseconds of its CPU time. */
export interface Profile {
  cpu: number
  parts: Record<ProfilePart | 'application', number>
  /** In the one function of the plugin that took most. */
  largest: number
  /** In system calls for a client's address and for TCP keep-alive; a part of the native code. */
  calls: number
  /** How often the event loop has turned; null where Node does not tell. */
  turns: number | null
}

/** Points in time are microseconds of the monotonic clock, which all processes of a machine share. */
export interface ServerControl {
  start (options: ServerOptions): Promise<{ port: number }>
  sample (): Sample
  /** Collects garbage first. */
  memory (): Promise<Memory>
  /** Starts to look for stalls. */
  watch (): void
  /** What was seen since `watch`, which ends with it. */
  stalls (): Promise<Stalls>
  /** Starts V8's profiler. */
  profile (): Promise<void>
  /** Ends it; `file` is where its profile goes. */
  profiled (file: string): Promise<Profile>
  /** Sends one message of so many bytes to everyone; answers when all is handed over. */
  broadcast (bytes: number): Promise<{ startedAt: number }>
  /** Closes the server; answers when its own `close` has ended. */
  close (): Promise<{ startedAt: number, endedAt: number }>
}
