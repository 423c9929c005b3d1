/**
 * The encoding of frames (RFC 6455 §5.2), byte for byte as in ws.
 */
import { Buffer } from 'node:buffer'

/** Opcodes (RFC 6455 §11.8). */
export const Opcode = { text: 0x1, binary: 0x2, ping: 0x9 } as const

const FIN = 0x80

/** Encodes one unmasked frame with the whole message in it. */
export function encode (opcode: number, payload: Uint8Array): Buffer {
  const { byteLength } = payload
  const offset = byteLength < 126 ? 2 : byteLength < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafeSlow(offset + byteLength)
  frame[0] = FIN | opcode
  if (offset === 2) {
    frame[1] = byteLength
  } else if (offset === 4) {
    frame[1] = 126
    frame.writeUInt16BE(byteLength, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(byteLength), 2)
  }
  frame.set(payload, offset)
  return frame
}

/** Payload lengths at which the header changes (RFC 6455 §5.2). */
const LENGTHS = [0, 125, 126, 65_535, 65_536]

/** Returns whether a function such as `Sender.frame` of ws 8.23.0 encodes frames as `encode` does. */
export function encodesAlike (frame: ((data: Buffer, options: object) => Buffer[]) | undefined): boolean {
  try {
    return LENGTHS.every((length) => [Opcode.text, Opcode.binary, Opcode.ping].every((opcode) => {
      const payload = Buffer.alloc(length, 'x')
      return Buffer.concat(frame!(payload, { fin: true, opcode, mask: false, rsv1: false, readOnly: true })).equals(encode(opcode, payload))
    }))
  } catch {
    return false
  }
}
