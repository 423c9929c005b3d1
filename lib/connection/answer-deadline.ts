/**
 * How long a peer may take to answer a close frame before its raw socket is destroyed.
 *
 * RFC 6455 §7.1.1 has the server close TCP once both frames were exchanged, and sets no time. The time runs from when
 * our frame has left the queue; while it cannot leave, a peer that keeps reading is waited for, one that does not read
 * for the same time is not. A peer that was closed because it reads too slowly has that time and no more.
 */
import type { WebSocket } from 'ws'
import { Entry } from '../base/deadlines.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Transport } from './transport.ts'

/** Looks at a frame that cannot leave, within `closeTimeout`. */
const LOOKS = 4

/** What the wait for an answer needs. */
export interface AnswerHost {
  readonly deadlines: Deadlines
  readonly transport: Transport
  /** Milliseconds a peer has to answer a close frame, from when the frame has left. */
  readonly closeTimeout: number
}

export class AnswerDeadline extends Entry {
  readonly #host: AnswerHost
  readonly #socket: WebSocket
  /** Whether a frame that cannot leave yet is waited for. */
  readonly #patient: boolean
  #left = false
  #pending = 0
  /** Looks in a row without progress. */
  #stalls = 0

  constructor (host: AnswerHost, socket: WebSocket, patient: boolean) {
    super()
    this.#host = host
    this.#socket = socket
    this.#patient = patient
    this.#arm()
    if (!this.#left) this.#pending = host.transport.pendingBytes(socket)
  }

  cancel (): void {
    this.#host.deadlines.cancel(this)
  }

  #arm (): void {
    const { deadlines, transport, closeTimeout } = this.#host
    this.#left = !this.#patient || transport.closeFrameLeft(this.#socket)
    deadlines.set(this, this.#left ? closeTimeout : closeTimeout / LOOKS)
  }

  expire (): void {
    const { transport } = this.#host
    if (!this.#left) {
      const pending = transport.pendingBytes(this.#socket)
      this.#stalls = pending < this.#pending ? 0 : this.#stalls + 1
      this.#pending = pending
      if (this.#stalls < LOOKS) return this.#arm()
    }
    transport.terminate(this.#socket)
  }
}
