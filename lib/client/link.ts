/**
 * One connection below a socket of the class, over a socket of the class that it is put over (Base).
 *
 * What it receives is held back until `release()`. It evens out what classes do differently: Node 22 tells of a failed handshake by
 * 'error' alone, others by 'error' and 'close'.
 */
import type { BaseSocket } from './socket.ts'
import type { Closed } from './standard.ts'

/** What is known of an error: nothing in a browser. */
export interface Failure { message?: string, error?: unknown }

/** How a link has ended, and the error before. */
export interface End { closed: Closed, failure?: Failure | undefined }

/** The close of a connection that was cut, or never opened. */
export const LOST: Closed = { code: 1006, reason: '', wasClean: false }

/** Begins every control frame; JSON follows. */
export const CONTROL = '\u0001lifecycle:'

/** In the place of a message that was taken: others may be reading the list. */
const TAKEN = {}

export class Link {
  readonly socket: BaseSocket
  /** Resolves when the connection is open. Rejects if it ends before. */
  readonly opened: Promise<void>
  /** Resolves when the connection has ended. */
  readonly ended: Promise<End>
  /** By which the control frames of the server are known: it is in the handshake, and no other client sees it. */
  readonly key: string
  /** What the next connection offers in its handshake. */
  id?: string
  /** The link that has taken the place of this one. */
  successor?: Link
  readonly #deliver: (data: unknown) => void
  #held: unknown[] | undefined = []
  readonly #wakes: Array<() => void> = []

  /** `control` is given the JSON of what may be a control frame, and returns whether it is one: the others are messages. */
  constructor (socket: BaseSocket, key: string, deliver: (data: unknown) => void, control: (frame: string) => boolean) {
    this.socket = socket
    this.key = key
    this.#deliver = deliver
    let failure: Failure | undefined
    this.ended = new Promise<Closed>((resolve) => {
      socket.onerror = (event: Failure) => {
        // Node 24 tells of a cut by an error without a message and 'close', others by 'close' alone.
        if (event.message !== '') failure = event
        if (socket.readyState === 0) resolve(LOST)
      }
      socket.onclose = resolve
    }).then((closed) => ({ closed, failure }))
    this.opened = Promise.race([
      new Promise<void>((resolve) => { socket.onopen = resolve }),
      this.ended.then(({ failure }) => Promise.reject(failure))
    ])
    socket.onmessage = ({ data }: { data: string }) => {
      // Binary data has no such method.
      if (data.startsWith?.(CONTROL) && control(data.slice(CONTROL.length))) return
      if (this.#held) {
        this.#held.push(data)
        for (const wake of this.#wakes.splice(0)) wake()
      } else deliver(data)
    }
  }

  /** Resolves with the next message that matches, which is then not delivered. */
  async take (matches: (data: unknown) => boolean) {
    const held = this.#held!
    for (let i = 0; ; i++) {
      if (i === held.length) await new Promise<void>((resolve) => { this.#wakes.push(resolve) })
      const data = held[i]
      if (data === TAKEN || !matches(data)) continue
      held[i] = TAKEN
      return data
    }
  }

  /** From now on no message is taken, also by a `take()` that waits. */
  keep () {
    this.#held = this.#held!.slice()
  }

  /** Delivers what was held back, and from then on what comes. */
  release () {
    const held = this.#held ?? []
    this.#held = undefined
    for (const data of held) if (data !== TAKEN) this.#deliver(data)
  }
}
