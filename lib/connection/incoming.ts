/**
 * Messages from the client: delivers them to the listeners and to `messages()`, or drops them, and pauses the socket.
 *
 * Made when it is first needed: for a message, a pause, `messages()`, unread input, or to mute the connection after a fault.
 */
import { Buffer } from 'node:buffer'
import type { WebSocket } from 'ws'
import { SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_MESSAGES_CONSUMED } from '../base/errors.ts'
import { isClosing } from './connection.ts'
import type { ConnectionState, Message, MessagesOptions } from './connection.ts'
import type { ConnectionHost } from './host.ts'
import { MessageQueue, sizeOf } from './message-queue.ts'
import type { MessageSource } from './message-queue.ts'
import type { MessageTrace } from './tracing.ts'
import { UnreadInput } from './unread-input.ts'
import type { InputSource } from './unread-input.ts'
import type { WorkCounter } from './work.ts'

const DEFAULT_HIGH_WATER_MARK = 65_536

/** Reasons to pause a socket: no listener yet, a full queue, the message rate, `pause()` by the application. */
const PAUSES = { listener: 1, queue: 2, rate: 4, application: 8 } as const

export type PauseReason = keyof typeof PAUSES

/** What incoming messages need of their connection. */
interface Receiver<C> {
  readonly host: Pick<ConnectionHost<C>, 'clock' | 'hooks' | 'tracing' | 'transport'>
  readonly socket: WebSocket
  readonly state: ConnectionState
  readonly work: WorkCounter
}

export class Incoming<C extends Receiver<C>> implements MessageSource, InputSource {
  readonly #connection: C
  #received = 0
  #dropped = 0
  #muted = false
  /** A bit for each reason to pause. */
  #pauses = 0
  #queue: MessageQueue | null = null
  #unread: UnreadInput | null = null

  constructor (connection: C) {
    this.#connection = connection
  }

  get work (): WorkCounter { return this.#connection.work }

  /** Messages that were delivered. */
  get received (): number { return this.#received }
  /** Messages that were not delivered. */
  get dropped (): number { return this.#dropped }

  /** Whether messages are no longer delivered. */
  get muted (): boolean { return this.#muted }
  mute (): void { this.#muted = true }

  /** Whether `messages()` has a consumer. */
  get consumed (): boolean { return this.#queue?.left === false }

  /** Whether the socket is paused. */
  get paused (): boolean { return this.#pauses !== 0 && !this.#closing }

  /** Whether input that has arrived is waited for. */
  get readsInput (): boolean { return this.#unread !== null }

  get #closing (): boolean { return isClosing(this.#connection.state) }

  /** A message has arrived. Returns whether it may be delivered to listeners. */
  receive (data: Buffer | ArrayBuffer | Buffer[], isBinary: boolean, muted: boolean): boolean {
    const connection = this.#connection
    let deliver = !muted && !this.#muted
    if (deliver) for (const part of connection.host.hooks.received) if (!part.received(connection)) deliver = false
    if (!deliver) {
      this.drop(1)
      return false
    }
    this.#received++
    if (this.consumed && !this.#queue!.push(isBinary ? toBuffer(data) : data.toString())) this.drop(1)
    return true
  }

  /** Counts messages that are not delivered. */
  drop (count: number): void { this.#dropped += count }

  trace (message: Message): MessageTrace | null {
    const connection = this.#connection
    return connection.host.tracing?.consumed(connection, sizeOf(message), typeof message !== 'string') ?? null
  }

  /** Implements `connection.messages()`. */
  messages (options: MessagesOptions): AsyncIterableIterator<Message> {
    const highWaterMark = options.highWaterMark ?? DEFAULT_HIGH_WATER_MARK
    if (!Number.isSafeInteger(highWaterMark) || highWaterMark < 1) throw new SOCKETS_ERR_INVALID_ARGUMENT('highWaterMark', 'a positive integer (bytes)', highWaterMark)
    if (this.#queue !== null) throw new SOCKETS_ERR_MESSAGES_CONSUMED()
    const queue = this.#queue = new MessageQueue(this, highWaterMark)
    if (this.#closing) queue.end()
    this.resume('listener')
    // With `holdMessages` no input has been read so far.
    if (this.#connection.state === 'draining') this.readInput()
    return queue
  }

  /** Pauses the socket until no reason is left. */
  pause (reason: PauseReason): void {
    if (this.#closing) return
    if (this.#pauses === 0) this.#connection.host.transport.pause(this.#connection.socket)
    this.#pauses |= PAUSES[reason]
  }

  resume (reason: PauseReason): void {
    if ((this.#pauses & PAUSES[reason]) === 0) return
    this.#pauses &= ~PAUSES[reason]
    if (this.#pauses === 0) this.#connection.host.transport.resume(this.#connection.socket)
  }

  /**
   * Whether input that has arrived waits to be parsed or delivered. Input behind a pause by the application or for the message
   * rate does not count: such a pause may last longer than the drain.
   */
  get hasUnread (): boolean {
    return (this.#pauses & (PAUSES.listener | PAUSES.queue)) !== 0 || this.#connection.host.transport.holdsInput(this.#connection.socket)
  }

  /** Counts input that has arrived as work until it was read. */
  readInput (): void { this.#unread ??= new UnreadInput(this.#connection.host.clock, this) }

  inputRead (): void {
    const { isLast } = this.#unread!
    this.#endReading()
    if (isLast) this.#queue!.stop()
  }

  /** Reads input that has arrived, then queues no new messages for `messages()`. */
  finish (): void {
    if (this.#queue?.accepting !== true) return
    if (this.hasUnread) this.readInput()
    if (this.#unread === null) this.#queue.stop()
    else this.#unread.isLast = true
  }

  /** Queues no new messages for `messages()`; queued ones are still delivered. */
  stop (): void {
    this.#endReading()
    this.#queue?.stop()
  }

  /** Ends `messages()`. */
  end (): void {
    this.#endReading()
    this.#queue?.end()
  }

  #endReading (): void {
    const unread = this.#unread
    this.#unread = null
    unread?.end()
  }
}

/** Converts a binary message to a Buffer; `socket.binaryType` decides what ws makes of it. */
function toBuffer (data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? Buffer.from(data) : data
}
