/**
 * The part of RFC 6455 that the load client needs: frames are written with a mask of zeros, which leaves the payload unchanged
 * (§5.3), and read without a copy.
 */
import { Buffer } from 'node:buffer'

export const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** A complete frame of a client. Payloads up to 64 KiB. */
export function frame (opcode: number, payload: Buffer): Buffer {
  const short = payload.length < 126
  const head = Buffer.alloc(short ? 6 : 8)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (short ? payload.length : 126)
  if (!short) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}

/** Calls `found` for every complete frame in `data`, and returns the offset of the first incomplete one. */
export function readFrames (data: Buffer, found: (opcode: number, data: Buffer, from: number, to: number) => void): number {
  let at = 0
  while (data.length - at >= 2) {
    let length = data[at + 1]! & 0x7f
    let from = at + 2
    if (length === 126) {
      if (data.length < at + 4) break
      length = data.readUInt16BE(from)
      from += 2
    } else if (length === 127) {
      if (data.length < at + 10) break
      length = Number(data.readBigUInt64BE(from))
      from += 8
    }
    if (from + length > data.length) break
    found(data[at]! & 0x0f, data, from, from + length)
    at = from + length
  }
  return at
}
