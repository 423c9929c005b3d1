/**
 * Calls and options of a server under test. Types only.
 */
import type { ProfilePart } from '../results.ts'

/** The handler of the route. */
export type Handler =
  /** `(socket) => { socket.on('message', …) }` */
  | 'sync'
  /** `async (socket) => …`, suspended as long as the socket lives. */
  | 'async'
  /** `async (socket, request) => …`, likewise, with the request at hand. */
  | 'async-request'
  /** Sends every message back. */
  | 'echo'

/** Features of the plugin that are off by default and take memory per connection. */
export type Feature = 'idleTimeout' | 'maxLifetime' | 'limits' | 'owner' | 'rates'

export interface ServerOptions {
  handler: Handler
  /** Milliseconds between beats; false: no heartbeat; undefined: the default of the candidate. */
  heartbeat?: number | false
  /** For this plugin: features that are on. */
  features?: Feature[]
  /** For this plugin: whether there are metrics to scrape. */
  metrics?: boolean
  /** For raw writes: in slices of 2 ms. */
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

/** The longest time without a turn of the event loop, milliseconds. */
export interface Stalls {
  /** The whole stall. */
  longest: number
  /** Without the pauses of the garbage collector. */
  apart: number
  /** The part in which the process itself had a core. */
  own: number
  /** The longest pause of the garbage collector. */
  collection: number
}

/** CPU time of the main thread by part, microseconds. */
export interface Profile {
  cpu: number
  parts: Record<ProfilePart | 'application', number>
  /** In the function of the plugin that took most. */
  largest: number
  /** In system calls for a client's address and for TCP keep-alive; a part of the native code. */
  calls: number
  /** Turns of the event loop; null if Node does not count them. */
  turns: number | null
}

/** Points in time are microseconds of the monotonic clock, which all processes of a machine share. */
export interface ServerControl {
  start (options: ServerOptions): Promise<{ port: number }>
  sample (): Sample
  /** Collects garbage first. */
  memory (): Promise<Memory>
  /** Starts to measure stalls. */
  watch (): void
  /** Ends the measurement and returns its result. */
  stalls (): Promise<Stalls>
  /** Starts V8's profiler. */
  profile (): Promise<void>
  /** Ends it, and writes the profile to `file`. */
  profiled (file: string): Promise<Profile>
  /** Sends one message of `bytes` to all clients. Resolves when all writes are done. */
  broadcast (bytes: number): Promise<{ startedAt: number }>
  /** Scrapes the metrics so many times. Resolves with the time of each on the main thread, milliseconds, and the bytes of the text. */
  scrape (times: number): Promise<{ durations: number[], bytes: number }>
  /** Closes the server. Resolves when its `close` has. */
  close (): Promise<{ startedAt: number, endedAt: number }>
}
