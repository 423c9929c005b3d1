/**
 * The counters of a route, shared by its connections: a message costs a few additions, and a connection no memory.
 */
import type { CloseCause } from '../base/close-codes.ts'

/** Closed connections with the same cause and code. */
export interface ClosedCount {
  /** What ended them. */
  cause: CloseCause
  /** Their close code, as text; codes that peers choose are folded. */
  code: string
  /** Number of connections. */
  count: number
}

/** A message as ws delivers it: text always as Buffer, binary as `binaryType` says. */
type Received = Buffer | ArrayBuffer | Buffer[] | Blob

export class RouteCounters {
  /** Connections in each state now, by its index in STATES (to find a counter by the name of the state takes ten times as long). */
  readonly states = [0, 0, 0, 0]
  /** Connections accepted. */
  opened = 0
  messagesReceived = 0
  messagesSent = 0
  /** Bytes of the payload of messages. */
  bytesReceived = 0
  bytesSent = 0
  /** Few entries: causes and folded codes are closed sets. */
  readonly closes: ClosedCount[] = []

  accepted (): void {
    this.opened++
    this.states[0]!++
  }

  /** The state of a connection changes; both by their index. */
  moved (from: number, to: number): void {
    this.states[from]!--
    this.states[to]!++
  }

  /** A message has arrived, whether it is delivered or not. */
  received (data: Received, isBinary: boolean): void {
    this.messagesReceived++
    const bytes = isBinary ? sizeOf(data) : (data as Buffer | undefined)?.length
    // An application may emit 'message' by itself, with anything.
    if (bytes! >= 0) this.bytesReceived += bytes!
  }

  /** A message was sent, or a fragment of one; `last`: it ends the message. */
  sent (bytes: number, last: boolean): void {
    if (last) this.messagesSent++
    this.bytesSent += bytes
  }

  /** A connection is closed; `code` is folded. */
  addClose (cause: CloseCause, code: string): void {
    const known = this.closes.find((each) => each.cause === cause && each.code === code)
    if (known === undefined) this.closes.push({ cause, code, count: 1 })
    else known.count++
  }
}

function sizeOf (data: Partial<Received> | undefined): number | undefined {
  if (Array.isArray(data)) return data.reduce((sum, part: Buffer | undefined) => sum + part!.length, 0)
  const { byteLength, size } = (data ?? {}) as { byteLength?: number, size?: number }
  return byteLength ?? size
}
