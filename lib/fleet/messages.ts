/**
 * Messages between nodes: JSON text `{ v, type, from, body }`. What comes from the engine is foreign: text of another version, of
 * another program, or of an unknown type is ignored and counted.
 */
import { attempt } from '../base/guard.ts'
import type { FleetEngine } from './engine.ts'

/** Version of messages and orders. */
const VERSION = 1
/** Longest text that is read, characters: a broadcast of 1 MiB of characters that JSON escapes has six times as many. */
const MAX_TEXT = 8 * 2 ** 20
/** Longest id of a node or an order, characters. */
export const MAX_ID = 256

/** A message that was read. */
export interface Message {
  readonly type: string
  /** Id of the node that has sent it. */
  readonly from: string
  /** Unchecked. */
  readonly body: unknown
}

/** What to do with a message. */
export type Hear = (body: unknown, from: string) => void

/** Writes a message or an order. */
export function writeMessage (type: string, from: string, body: object): string { return JSON.stringify({ v: VERSION, type, from, body }) }

/** Reads a message or an order; undefined if it is none of this version. */
export function readMessage (text: unknown): Message | undefined {
  if (typeof text !== 'string' || text.length > MAX_TEXT) return undefined
  const given = attempt(() => JSON.parse(text) as unknown, () => {})
  if (typeof given !== 'object' || given === null) return undefined
  const { v, type, from, body } = given as Record<string, unknown>
  if (v !== VERSION || typeof type !== 'string' || typeof from !== 'string' || from.length > MAX_ID) return undefined
  return { type, from, body }
}

export class Messages {
  readonly #node: string
  readonly #engine: FleetEngine
  readonly #handlers = new Map<string, Hear>()
  #ignored = 0

  constructor (node: string, engine: FleetEngine) {
    this.#node = node
    this.#engine = engine
  }

  /** Messages that were ignored. */
  get ignored (): number { return this.#ignored }

  /** Says what to do with messages of some types. */
  handle (handlers: Readonly<Record<string, Hear>>): void {
    for (const [type, handler] of Object.entries(handlers)) this.#handlers.set(type, handler)
  }

  /** Sends a message to nodes, at most once. Rejects with SOCKETS_ERR_FLEET_UNAVAILABLE. */
  async send (to: readonly string[], type: string, body: object): Promise<void> {
    if (to.length > 0) await this.#engine.send(to, writeMessage(type, this.#node, body))
  }

  /** A text has arrived. */
  hear (text: string): void {
    const message = readMessage(text)
    const handler = message && this.#handlers.get(message.type)
    if (handler === undefined) return this.ignore()
    // A handler throws for a body that is not what it should be.
    attempt(() => { handler(message!.body, message!.from) }, () => { this.ignore() })
  }

  /** Counts what is ignored. */
  ignore (): void { this.#ignored++ }
}
