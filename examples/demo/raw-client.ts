// A client that misbehaves in ways the ws package cannot: a bare TCP socket that sends the handshake and no frame after it.
// It parses frames only to find the server's close frame.

import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export interface RawClient {
  opened: Promise<void>
  /** Resolves when the TCP connection has ended; 1006 if no close frame came before. */
  ended: Promise<{ code: number, reason: string }>
  pause (): void
  resume (): void
}

export function openRawClient (port: number, path: string): RawClient {
  const socket: Socket = connect(port, '127.0.0.1')
  const frames = new CloseFrameFinder()

  const ended = new Promise<{ code: number, reason: string }>((resolve) => {
    socket.on('error', () => {}) // After a reset 'close' follows.
    socket.on('close', () => resolve(frames.found ?? { code: 1006, reason: '' }))
  })

  const opened = new Promise<void>((resolve, reject) => {
    let answer = ''
    socket.on('data', function onAnswer (chunk: Buffer) {
      answer += chunk.toString('latin1')
      const end = answer.indexOf('\r\n\r\n')
      if (end === -1) return
      socket.off('data', onAnswer)
      if (!answer.startsWith('HTTP/1.1 101')) return reject(new Error(answer.slice(0, answer.indexOf('\r\n'))))
      frames.read(Buffer.from(answer.slice(end + 4), 'latin1'))
      socket.on('data', (data: Buffer) => frames.read(data))
      resolve()
    })
    socket.on('close', () => reject(new Error('connection ended during the handshake')))
  })

  socket.write([
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    '\r\n'
  ].join('\r\n'))

  return { opened, ended, pause: () => socket.pause(), resume: () => socket.resume() }
}

/** Parses the frames of a server (never masked, RFC 6455 §5.1), skipping all payloads but that of a close frame. */
class CloseFrameFinder {
  found: { code: number, reason: string } | undefined
  #buffered: Buffer = Buffer.alloc(0)
  #toSkip = 0

  read (chunk: Buffer): void {
    const skipped = Math.min(this.#toSkip, chunk.length)
    this.#toSkip -= skipped
    this.#buffered = Buffer.concat([this.#buffered, chunk.subarray(skipped)])

    while (this.#buffered.length >= 2) {
      const frame = this.#buffered
      const isClose = (frame[0]! & 0x0f) === 0x08
      const size = frame[1]! & 0x7f
      const header = size === 127 ? 10 : size === 126 ? 4 : 2
      if (frame.length < header) return

      const length = size === 127 ? Number(frame.readBigUInt64BE(2)) : size === 126 ? frame.readUInt16BE(2) : size
      const end = header + length
      if (isClose) {
        if (frame.length < end) return
        this.found = length === 0
          ? { code: 1005, reason: '' }
          : { code: frame.readUInt16BE(header), reason: frame.toString('utf8', header + 2, end) }
      }
      this.#toSkip = Math.max(0, end - frame.length)
      this.#buffered = frame.subarray(end)
    }
  }
}
