/**
 * A fake WebSocket and the fake Transport over it: they record what lib/ does, and do what a test says the peer does.
 *
 * They behave like ws over TCP where lib/ can see it. What the peer does arrives as input on the fake clock, so nothing
 * answers within the call that asks; a paused socket hides what arrives, until it is resumed. While bytes are pending a
 * close frame has not left. Both close frames and then the end of the raw socket are three steps, one turn each.
 */
import type { WebSocket } from 'ws'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { pongReceived } from '../../lib/connection/liveness.ts'
import { kConnection } from '../../lib/connection/of-socket.ts'
import type { Frame as EncodedFrame, Transport } from '../../lib/connection/transport.ts'
import type { FakeClock } from './fake-clock.ts'

/**
 * What the peer does by itself. `silent`: nothing, the test speaks for it. `answers`: answers a close frame and a ping as
 * soon as it has left. `stuck`: reads nothing, so that whatever is sent stays pending.
 */
export type Peer = 'silent' | 'answers' | 'stuck'

/** What a socket put on the wire. */
export type Frame = { type: 'message', data: string | Buffer } | { type: 'ping' } | { type: 'close', code: number | undefined, reason: string }

/** Bytes of a ping or a pong. */
const PING_SIZE = 11

export interface FakeSocketOptions {
  /** @default 'silent' */
  peer?: Peer
  /** Whether a kernel socket is below; false as with `injectWS`. @default true */
  handle?: boolean
}

export class FakeSocket {
  readonly CONNECTING = 0
  readonly OPEN = 1
  readonly CLOSING = 2
  readonly CLOSED = 3
  readonly clock: FakeClock
  [kConnection]?: ManagedConnection
  peer: Peer
  handle: boolean
  readyState = 1
  /** What was asked of it, in order: 'close 1012 service restart', 'terminate', 'pause', 'resume', 'send hello'. */
  readonly calls: string[] = []
  /** Frames sent, in order. */
  readonly frames: Frame[] = []
  /** Messages that reached listeners. */
  readonly delivered: Array<string | Buffer> = []
  paused = false
  /** Whether the raw socket is gone. */
  destroyed = false
  /** Bytes that wait on our side. */
  pending = 0
  closeFrameSent = false
  closeFrameReceived = false
  bytesRead = 0
  bytesWritten = 0
  /** Whether a listener that threw has broken the receiver: 'close' is never emitted. */
  broken = false
  /** Milliseconds of silence after which the kernel looks for the peer; 0 where it was not asked to. */
  keptAlive = 0
  /** Takes text messages before all others. */
  take: ((message: Buffer) => boolean) | null = null
  /** Called with each message that may be delivered. */
  onMessage: ((data: string | Buffer) => unknown) | null = null
  /** What has arrived and not been read yet. */
  readonly #unread: Array<() => void> = []
  #reading = false
  /** Told when nothing is pending any more. */
  readonly drains = new Set<() => void>()
  /** As many pongs wait as may, or so many times as many. */
  pongsWait: boolean | number = false
  /** Input is here that was not parsed yet. */
  inflating = false
  /** A fragment was sent, and not the last one. */
  midMessage = false
  /** Pings that wait on our side. */
  #pings: Array<() => void> = []

  constructor (clock: FakeClock, { peer = 'silent', handle = true }: FakeSocketOptions = {}) {
    this.clock = clock
    this.peer = peer
    this.handle = handle
  }

  /** The close frame that was sent, if one was. */
  get closeFrame (): { code: number | undefined, reason: string } | undefined {
    const frame = this.frames.find(({ type }) => type === 'close')
    return frame?.type === 'close' ? { code: frame.code, reason: frame.reason } : undefined
  }

  get connection (): ManagedConnection | undefined { return this[kConnection] }

  /** This object as what it stands in for. */
  get ws (): WebSocket { return this as unknown as WebSocket }

  // ——— what the application and lib/ do

  send (data: string | Buffer, { fin = true } = {}): void {
    this.connection?.sending()
    this.midMessage = !fin
    this.calls.push(`send ${String(data)}`)
    this.frames.push({ type: 'message', data })
    this.#write(Buffer.byteLength(data))
    this.connection?.sent()
  }

  close (code?: number, reason: string = ''): void {
    if (!this.closeFrameReceived) this.connection?.sending()
    this.calls.push(['close', code, reason].filter((part) => part !== undefined && part !== '').join(' '))
    this.#close(code, reason)
  }

  terminate (): void {
    this.calls.push('terminate')
    this.connection?.socketClosing('application', 1006, '')
    if (this.readyState === this.OPEN) this.readyState = this.CLOSING
    this.#destroy()
  }

  ping (left: () => void): void {
    this.calls.push('ping')
    this.frames.push({ type: 'ping' })
    this.#pings.push(left)
    this.#write(PING_SIZE)
    if (this.pending === 0) this.#pingsLeft()
  }

  pause (): void {
    this.calls.push('pause')
    // ws ignores both once it is closed.
    if (this.readyState !== this.CLOSED) this.paused = true
  }

  resume (): void {
    this.calls.push('resume')
    if (this.readyState === this.CLOSED) return
    this.paused = false
    this.#read()
  }

  // ——— what the peer does; it is seen with the next turn of the clock

  /** Its answer to our close frame arrives, then its end of the raw socket. */
  peerAnswers (): this {
    const { code, reason } = this.closeFrame ?? { code: 1005, reason: '' }
    return this.peerCloses(code ?? 1005, reason)
  }

  /** Its close frame arrives; the end of the raw socket follows. */
  peerCloses (code: number = 1000, reason: string = ''): this {
    return this.#arrives(() => {
      this.closeFrameReceived = true
      this.#close(code === 1005 ? undefined : code, reason, () => this.connection?.peerClosing(code, reason))
      this.#arrives(() => this.#destroy())
    })
  }

  /** A message arrives. */
  peerSends (data: string | Buffer): this {
    return this.#arrives(() => {
      this.bytesRead += Buffer.byteLength(data)
      if (typeof data === 'string' && this.take?.(Buffer.from(data)) === true) return
      if (this.connection?.received(Buffer.from(data), typeof data !== 'string') !== true) return
      this.delivered.push(data)
      this.onMessage?.(data)
    })
  }

  /** A pong arrives: the answer to our ping, or an unsolicited one. */
  peerPongs ({ ours = true }: { ours?: boolean } = {}): this {
    return this.#arrives(() => {
      this.bytesRead += PING_SIZE
      if (this.connection === undefined) return
      this.connection.heard = true
      if (ours) pongReceived(this.connection)
    })
  }

  /** A part of a message arrives, or anything else that is no event yet. */
  peerSendsBytes (bytes: number): this {
    return this.#arrives(() => { this.bytesRead += bytes })
  }

  /** The raw socket is reset, or its end arrives without a close frame; seen on a paused socket too. */
  rawGone (): this {
    this.clock.input(() => { this.#gone() })
    return this
  }

  /** This many bytes wait for the peer to read; 0 lets a close frame leave. */
  bytesPending (bytes: number): this {
    this.pending = bytes
    if (bytes > 0) return this
    for (const drained of [...this.drains]) drained()
    this.#pingsLeft()
    this.#frameLeft()
    return this
  }

  /** All that was pending has left, the close frame too. */
  frameLeaves (): this { return this.bytesPending(0) }

  #close (code: number | undefined, reason: string, notice = () => this.connection?.socketClosing('application', code ?? 1005, reason)): void {
    if (this.readyState === this.OPEN) {
      this.readyState = this.CLOSING
      this.frames.push({ type: 'close', code, reason })
      this.#write(Buffer.byteLength(reason) + 4)
      if (this.pending === 0) this.#frameLeft()
    }
    notice()
  }

  #write (bytes: number): void {
    this.bytesWritten += bytes
    if (this.pending > 0 || this.peer === 'stuck') this.pending += bytes
  }

  #pingsLeft (): void {
    for (const left of this.#pings.splice(0)) {
      left()
      if (this.peer === 'answers') this.peerPongs()
    }
  }

  #frameLeft (): void {
    if (this.closeFrame === undefined || this.closeFrameSent) return
    this.closeFrameSent = true
    if (this.peer === 'answers' && !this.closeFrameReceived) this.peerAnswers()
  }

  #arrives (event: () => void): this {
    this.#unread.push(event)
    this.#read()
    return this
  }

  /** Reads what has arrived, one event a turn of the clock. */
  #read (): void {
    if (this.#reading || this.paused || this.#unread.length === 0) return
    this.#reading = true
    this.clock.input(() => {
      this.#reading = false
      if (this.paused || this.destroyed) return
      this.#unread.shift()!()
      this.#read()
    })
  }

  #destroy (): void {
    if (this.destroyed) return
    this.destroyed = true
    // As a stream does: 'close' comes later.
    this.clock.input(() => { this.#gone() })
  }

  #gone (): void {
    this.destroyed = true
    const { connection } = this
    if (this.readyState === this.CLOSED) return
    // After a closing handshake ws tells first; otherwise its receiver ends a tick after the raw socket, or never does.
    if (!this.closeFrameReceived) connection?.rawClosed(false)
    if (this.broken) return
    this.readyState = this.CLOSED
    connection?.socketClosed()
    if (this.closeFrameReceived) connection?.rawClosed(true)
  }
}

/** How lib/ reaches a fake socket. */
export class FakeTransport implements Transport {
  /** What was asked of all sockets, in order: [method, socket]. */
  readonly calls: Array<[method: 'close' | 'terminate' | 'ping' | 'pause' | 'resume', socket: FakeSocket]> = []

  close (socket: WebSocket, code: number, reason: string): void {
    this.#of('close', socket).close(code, reason)
  }

  terminate (socket: WebSocket): void { this.#of('terminate', socket).terminate() }
  pause (socket: WebSocket): void { this.#of('pause', socket).pause() }
  resume (socket: WebSocket): void { this.#of('resume', socket).resume() }
  closeFrameLeft (socket: WebSocket): boolean { return fake(socket).closeFrameSent || fake(socket).pending === 0 }
  closedCleanly (socket: WebSocket): boolean { return fake(socket).closeFrameSent && fake(socket).closeFrameReceived }
  pendingBytes (socket: WebSocket): number { return fake(socket).pending }
  bytesReceived (socket: WebSocket): number { return fake(socket).bytesRead }
  bytesSent (socket: WebSocket): number { return fake(socket).bytesWritten }
  frame (data: string | Uint8Array): EncodedFrame {
    const payload = Buffer.alloc(Buffer.byteLength(data))
    // A buffer that is detached throws here, as in the real one.
    payload.set(typeof data === 'string' ? Buffer.from(data) : data)
    return { bytes: payload, payload, text: typeof data === 'string' ? data : undefined }
  }

  write (socket: WebSocket, { payload, text }: EncodedFrame): boolean {
    fake(socket).send(text ?? Buffer.from(payload))
    return fake(socket).pending === 0
  }

  writeText (socket: WebSocket, text: string): boolean {
    if (fake(socket).midMessage || fake(socket).readyState !== 1) return false
    fake(socket).frames.push({ type: 'message', data: text })
    return true
  }

  takeText (socket: WebSocket, take: (message: Buffer) => boolean): void { fake(socket).take = take }
  isMidMessage (socket: WebSocket): boolean { return fake(socket).midMessage }

  onDrained (socket: WebSocket, callback: () => void): () => void {
    const { drains } = fake(socket)
    drains.add(callback)
    return () => { drains.delete(callback) }
  }

  ping (socket: WebSocket, left: () => void): void { this.#of('ping', socket).ping(left) }
  bytesTaken (socket: WebSocket): number { return fake(socket).bytesWritten - fake(socket).pending }
  pongsWait (socket: WebSocket, times: number): boolean { return Number(fake(socket).pongsWait) >= times }
  holdsInput (socket: WebSocket): boolean { return fake(socket).inflating }
  messageListeners (socket: WebSocket): Function[] {
    const { onMessage } = fake(socket)
    return onMessage === null ? [] : [onMessage]
  }

  isPaused (socket: WebSocket): boolean { return fake(socket).paused }
  keepAlive (socket: WebSocket, delay: number): void { fake(socket).keptAlive = delay }
  hasHandle (socket: WebSocket): boolean { return fake(socket).handle }

  #of (method: 'close' | 'terminate' | 'ping' | 'pause' | 'resume', socket: WebSocket): FakeSocket {
    this.calls.push([method, fake(socket)])
    return fake(socket)
  }
}

/** The fake behind a socket. */
export function fake (socket: WebSocket): FakeSocket { return socket as unknown as FakeSocket }
