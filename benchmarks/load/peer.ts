/**
 * One connection of the load client: a raw socket, a handshake, and the answers that a WebSocket client must give.
 *
 * All connections share one read buffer, because input is handled at once.
 */
import { Buffer } from 'node:buffer'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Dialect } from './control.ts'
import { frame, OPCODE, readFrames } from './frames.ts'
import { handshakeRequest } from './handshake.ts'

/** Listeners for the events of peers. */
export interface PeerHost {
  opened (peer: Peer): void
  data (peer: Peer, bytes: number): void
  pinged (): void
  left (peer: Peer, code: number): void
}

const SWITCHING = Buffer.from('HTTP/1.1 101')
const BLANK_LINE = '\r\n\r\n'
const NO_PAYLOAD = Buffer.alloc(0)
const EMPTY_PONG = frame(OPCODE.pong, NO_PAYLOAD)
/** Packets of Socket.IO: connect to the main namespace; the answer to a ping of Engine.IO. */
const CONNECT = frame(OPCODE.text, Buffer.from('40'))
const ENGINE_PONG = frame(OPCODE.text, Buffer.from('3'))

const buffer = Buffer.alloc(65_536)

export class Peer {
  readonly #host: PeerHost
  readonly #dialect: Dialect
  readonly #silent: boolean
  readonly #socket: Socket
  #upgraded = false
  #open = false
  /** The beginning of an incomplete frame. */
  #rest: Buffer | null = null
  #code = 1006

  constructor (host: PeerHost, port: number, dialect: Dialect, silent: boolean, query = '') {
    this.#host = host
    this.#dialect = dialect
    this.#silent = silent
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer, callback: (length) => { this.#receive(buffer.subarray(0, length)); return true } }
    })
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => { host.left(this, this.#code) })
    this.#socket.write(handshakeRequest(port, dialect, query))
  }

  get isOpen (): boolean { return this.#open }

  /** A text message of `bytes`, in the protocol of the server. */
  message (bytes: number): Buffer {
    const text = 'x'.repeat(bytes)
    return frame(OPCODE.text, Buffer.from(this.#dialect === 'plain' ? text : `42["message","${text}"]`))
  }

  write (data: Buffer): void { this.#socket.write(data) }

  /** Resets the connection, so that nothing of it stays in the kernel. */
  reset (): void { this.#socket.resetAndDestroy() }

  #receive (chunk: Buffer): void {
    let data = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk])
    if (!this.#upgraded) {
      const end = data.indexOf(BLANK_LINE)
      if (end === -1) return this.#keep(data)
      this.#accepted(data)
      data = data.subarray(end + BLANK_LINE.length)
    }
    const read = readFrames(data, this.#found)
    this.#keep(data.subarray(read))
  }

  /** Copies, because all connections share the buffer. */
  #keep (data: Buffer): void {
    this.#rest = data.length === 0 ? null : Buffer.from(data)
  }

  #accepted (head: Buffer): void {
    if (!head.subarray(0, 12).equals(SWITCHING)) throw new Error(`handshake refused: ${head.toString('latin1').split('\r\n', 1)[0]}`)
    this.#upgraded = true
    if (this.#dialect === 'socketio') return this.write(CONNECT)
    this.#open = true
    this.#host.opened(this)
  }

  readonly #found = (opcode: number, data: Buffer, from: number, to: number): void => {
    if (opcode <= OPCODE.binary) {
      if (this.#dialect === 'plain') this.#host.data(this, to - from)
      else this.#engineData(data, from, to)
    } else if (opcode === OPCODE.ping) {
      this.#host.pinged()
      this.write(from === to ? EMPTY_PONG : frame(OPCODE.pong, data.subarray(from, to)))
    } else if (opcode === OPCODE.close) {
      this.#code = to - from >= 2 ? data.readUInt16BE(from) : 1005
      if (!this.#silent) this.write(frame(OPCODE.close, data.subarray(from, Math.min(to, from + 2))))
    }
  }

  /** A packet of Engine.IO, which may contain one of Socket.IO: `0` open, `2` ping, `40` connected, `42` an event. */
  #engineData (data: Buffer, from: number, to: number): void {
    const type = String.fromCharCode(data[from]!)
    if (type === '2') {
      this.#host.pinged()
      this.write(ENGINE_PONG)
    } else if (type === '4' && data[from + 1] === 0x32) {
      this.#host.data(this, to - from)
    } else if (type === '4' && data[from + 1] === 0x30 && !this.#open) {
      this.#open = true
      this.#host.opened(this)
    }
  }
}
