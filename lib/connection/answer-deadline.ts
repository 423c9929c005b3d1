/**
 * The deadline of a peer to answer our close frame; then its raw socket is destroyed.
 *
 * RFC 6455 §7.1.1 has the server close TCP after both frames were exchanged, and sets no time. The time starts when our frame
 * has left the write queue. Until then, a peer that keeps reading is waited for, and one that reads nothing for the same time
 * is not. A peer that is closed because it reads too slowly gets the time from the start of the close.
 */
import type { WebSocket } from 'ws'
import { Entry } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Transport } from './transport.ts'

/** Checks within `closeTimeout` of a peer that has not taken the frame. */
const CHECKS = 4

/** What the deadline needs. */
export interface AnswerHost {
  readonly deadlines: Deadlines
  readonly transport: Transport
  /** Milliseconds a peer has to answer a close frame, from when the frame has left. */
  readonly closeTimeout: number
}

export class AnswerDeadline extends Entry {
  readonly #host: AnswerHost
  readonly #socket: WebSocket
  readonly #waitsForFrame: boolean
  #left = false
  #pending = 0
  /** Checks in a row without progress. */
  #stalls = 0

  /** `waitsForFrame`: the time starts when the frame has left, and not now. */
  constructor (host: AnswerHost, socket: WebSocket, waitsForFrame: boolean) {
    super()
    this.#host = host
    this.#socket = socket
    this.#waitsForFrame = waitsForFrame
    this.#arm()
    if (!this.#left) this.#pending = host.transport.pendingBytes(socket)
  }

  cancel (): void { this.#host.deadlines.cancel(this) }

  #arm (): void {
    const { deadlines, transport, closeTimeout } = this.#host
    this.#left = !this.#waitsForFrame || transport.closeFrameLeft(this.#socket)
    deadlines.set(this, this.#left ? closeTimeout : closeTimeout / CHECKS)
  }

  expire (): void {
    const { transport } = this.#host
    if (!this.#left) {
      const pending = transport.pendingBytes(this.#socket)
      this.#stalls = pending < this.#pending ? 0 : this.#stalls + 1
      this.#pending = pending
      if (this.#stalls < CHECKS) return this.#arm()
    }
    transport.terminate(this.#socket)
  }
}
