/**
 * What flows through a connection: messages in, work in flight, and who consumes the one as the other.
 *
 * A drain waits for work; a connection that is mute delivers nothing more. Closing is managed-connection.ts's.
 */
import { Buffer } from 'node:buffer'
import type { MessagesOptions } from './connection.ts'
import type { Owed } from './host.ts'
import { Deadline, TICK } from '../base/deadlines.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT, SOCKETS_ERR_MESSAGES_CONSUMED } from '../base/errors.ts'
import { nameOf } from '../base/guard.ts'
import { MessageQueue } from './message-queue.ts'
import type { Message, MessageSource } from './message-queue.ts'
import { UnreadInput } from './unread-input.ts'
import type { InputSource } from './unread-input.ts'
import { Vitals } from './liveness.ts'

const DEFAULT_HIGH_WATER_MARK = 65_536

/** How many times as many pongs may wait for a client that takes some of what waits. */
const PONG_FLOOD = 4

/** Why a socket is not read: nobody listens yet, the queue is full, it sends too much, the application has said so. */
const PAUSES = { listener: 1, queue: 2, rate: 4, application: 8 } as const

type PauseReason = keyof typeof PAUSES

export abstract class Traffic extends Vitals implements MessageSource, InputSource {
  #work = 0
  #messages = 0
  /** Broadcasts under way that it was not handed yet, oldest first. */
  owed: Owed | Owed[] | undefined = undefined
  /** What still arrives is not delivered. */
  #mute = false
  /** Why nothing is read at present; a bit for each reason. */
  #pauses = 0

  get messagesReceived (): number { return this.#messages }
  get messagesDropped (): number { return this.rare?.dropped ?? 0 }

  /** Whether somebody iterates over messages(). */
  get consumed (): boolean { return this.rare?.queue?.left === false }

  // ——— work

  /** Whether work is in flight that a drain waits for. */
  get working (): boolean { return this.#work > 0 }

  track<T extends PromiseLike<unknown>> (promise: T, name = 'track()'): T {
    if (typeof promise?.then !== 'function') throw new SOCKETS_ERR_INVALID_ARGUMENT('track()', 'given a promise', typeof promise)
    if (typeof name !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT('the name for track()', 'a string', typeof name)
    this.holdNamed(name, promise, (err) => this.note('warn', { err }, 'tracked work failed'))
    return promise
  }

  /** Counts a promise as work until it has settled, under a name. Messages have none: it would cost each of them memory. */
  holdNamed (name: string, promise: PromiseLike<unknown>, failed?: (error: unknown) => void): void {
    const works = this.extras.works ??= new Set()
    const work = { name }
    works.add(work)
    const once = Promise.resolve(promise)
    this.hold(once, failed)
    // After that: who is told that the work has ended may ask for its name.
    const over = () => { works.delete(work) }
    once.then(over, over)
  }

  /** Name of its work; of one of them, where several are in flight. */
  get workName (): string {
    const [work] = this.rare?.works ?? []
    if (work !== undefined) return work.name
    if (this.consumed) return 'messages()'
    if (this.readsInput) return 'unread input'
    const names = this.host.transport.messageListeners(this.socket).map(nameOf)
    // One that was added with `once` is removed by now.
    return names.length === 0 ? 'message listener' : names.join(', ')
  }

  /** Counts a promise as work until it has settled. */
  hold (promise: PromiseLike<unknown>, failed?: (error: unknown) => void): void {
    this.workStarted()
    // Thenables of other makes may call back twice, or throw: as a promise they do neither.
    Promise.resolve(promise).then(() => this.workEnded(), (error: unknown) => {
      this.workEnded()
      failed?.(error)
    })
  }

  // ——— messages

  messages (options: MessagesOptions = {}): AsyncIterableIterator<Message> {
    const mark = options.highWaterMark ?? DEFAULT_HIGH_WATER_MARK
    if (!Number.isSafeInteger(mark) || mark < 1) throw new SOCKETS_ERR_INVALID_ARGUMENT('highWaterMark', 'a positive integer (bytes)', mark)
    if (this.rare?.queue !== undefined) throw new SOCKETS_ERR_MESSAGES_CONSUMED()
    const queue = this.extras.queue = new MessageQueue(this, mark)
    if (this.isEnding) queue.end()
    this.releaseMessages()
    // With `holdMessages` nothing has been read so far.
    if (this.state === 'draining') this.readInput()
    return queue
  }

  /** A message has arrived. Returns whether it may be delivered to listeners. */
  received (data: Buffer | ArrayBuffer | Buffer[], isBinary: boolean): boolean {
    this.heard = true
    const { registry, running } = this.host
    this.lastMessage = ++registry.messages
    // The clock is dear: only where somebody is closed by it.
    const idle = this.rare?.idle
    if (idle !== undefined && idle.timeout !== false) idle.lastMessageTick = running.ticks
    if (this.#mute) {
      this.dropped(1)
      return false
    }
    const { messageRate } = this.settings
    if (messageRate !== false && !this.host.meter!.spend(this.self, messageRate)) {
      this.dropped(1)
      return false
    }
    this.#messages++
    if (this.consumed && !this.rare!.queue!.push(isBinary ? toBuffer(data) : data.toString())) this.dropped(1)
    return true
  }

  /** Whether a message is not sent: code of a connection that a drain has closed sends it. */
  get suppressed (): boolean { return this.host.suppression?.applies(this.self) ?? false }

  /** Something of its own is about to be sent, or it is about to be closed: what was broadcast before goes first. */
  sending (): void { if (this.owed !== undefined) this.host.outbox!.flush(this.self) }

  /** Something was sent: what waits for a slow reader may be too much now. */
  sent (): void {
    if (this.rare?.held !== undefined) this.host.outbox?.release(this.self)
    if (this.settings.backpressure.maxBufferedBytes !== false && !this.isEnding) this.host.meter!.sent(this.self)
  }

  /** Bytes of broadcasts that wait for the end of a fragmented message. */
  get heldBytes (): number { return this.rare?.held?.bytes ?? 0 }

  get muted (): boolean { return this.#mute }

  /** Delivers nothing from now on. */
  mute (): void { this.#mute = true }

  /**
   * As many pongs wait as may. After a stall many pings are read at once, and their pongs leave in the same turn of the event
   * loop: it is looked at again after two ticks of running time. The client is cut off then where it has taken nothing, or
   * where far more wait: one that reads a little now and then would fill the memory with them.
   */
  pongsWait (): void {
    if (this.isEnding || this.rare?.pongs !== undefined) return
    const { running, transport } = this.host
    const taken = transport.bytesTaken(this.socket)
    const deadline = this.extras.pongs = new Deadline(() => {
      this.extras.pongs = undefined
      if (!transport.pongsWait(this.socket, 1)) return
      if (transport.bytesTaken(this.socket) === taken || transport.pongsWait(this.socket, PONG_FLOOD)) this.self.kill('slow')
      else this.pongsWait()
    })
    running.set(deadline, 2 * TICK)
  }

  /**
   * Whether input that has arrived waits to be parsed or delivered. A pause of the application or for the message rate does
   * not count: the client may have to wait for as long as it lasts.
   */
  get hasUnread (): boolean {
    return (this.#pauses & (PAUSES.listener | PAUSES.queue)) !== 0 || this.host.transport.holdsInput(this.socket)
  }

  /** Waits, as work, until what has arrived was read; then the iterator takes no new messages. */
  readInput (): void { this.extras.unread ??= new UnreadInput(this.host.clock, this) }

  /** Whether `readInput` waits. */
  get readsInput (): boolean { return this.rare?.unread !== undefined }

  /** Takes no new messages into the iterator; those queued are still delivered. */
  stopMessages (): void {
    this.#endWaiting()
    this.rare?.queue?.stop()
  }

  /** Ends the iterator. */
  endMessages (): void {
    this.#endWaiting()
    this.rare?.queue?.end()
  }

  #endWaiting (): void {
    if (this.rare === null) return
    const { pongs, unread } = this.rare
    if (pongs !== undefined && this.isEnding) this.host.running.cancel(pongs)
    this.rare.unread = undefined
    unread?.end()
  }

  /** Reads nothing until `releaseMessages`. */
  holdMessages (): void { this.pauseFor('listener') }

  /** Somebody listens now. */
  releaseMessages (): void { this.resumeFor('listener') }

  workStarted (): void { if (this.#work++ === 0) this.host.registry.working++ }

  workEnded (): void {
    if (--this.#work > 0) return
    this.host.registry.working--
    this.host.observer?.idle(this.self)
  }

  pause (): void { this.pauseFor('queue') }
  resume (): void { this.resumeFor('queue') }

  /** Reads nothing from the socket while any reason holds. */
  pauseFor (reason: PauseReason): void {
    if (this.isEnding) return
    if (this.#pauses === 0) this.host.transport.pause(this.socket)
    this.#pauses |= PAUSES[reason]
  }

  resumeFor (reason: PauseReason): void {
    if ((this.#pauses & PAUSES[reason]) === 0) return
    this.#pauses &= ~PAUSES[reason]
    if (this.#pauses === 0) this.host.transport.resume(this.socket)
  }

  /** Whether a reason holds for which nothing is read. */
  get paused (): boolean { return this.#pauses !== 0 && !this.isEnding }

  dropped (count: number): void { this.extras.dropped = this.messagesDropped + count }
}

/** A binary message as Buffer, whatever `socket.binaryType` makes of it. */
function toBuffer (data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? Buffer.from(data) : data
}
