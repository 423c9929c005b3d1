/**
 * A client library as these tests see it: a server that speaks its protocol, and what a test does with its client.
 */
import type { FastifyInstance } from 'fastify'

/** What a library takes as its WebSocket class. */
export type WebSocketClass = typeof globalThis.WebSocket

/** A client of a library in use. */
export interface Session {
  /** Asks the server for something; resolves with its answer, after a reconnection where there has to be one first. */
  works (): Promise<void>
  /** Numbers that the server has published, in the order in which the application got them. */
  readonly received: number[]
  /** Times that the library told its application of a connection lost. */
  readonly losses: () => number
  /** Ends the client and its attempts to come back. */
  stop (): unknown
}

/** `Client` is what the library gives its user. */
export interface Library<Client = unknown> {
  name: string
  /** What its client is told of a server at this host and port. */
  address (host: string): string
  /** Sets up its server; returns how an application there publishes a number to all clients. */
  serve (app: FastifyInstance): (number: number) => void
  /** A client with default settings over this class. */
  byItself (url: string, WebSocket: WebSocketClass): Client
  /** Starts to use a client. */
  use (client: Client): Session
}

/** Resolves with what the callback is given first. */
export function first<T> (subscribe: (resolve: (value: T) => void) => unknown): Promise<T> {
  return new Promise((resolve) => { subscribe(resolve) })
}

let questions = 0
/** A text that no other question has. */
export const question = (): string => `question ${++questions}`
