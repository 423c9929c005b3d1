/**
 * What the fuzzer sends: a handshake, frames, and an end, all from one seed: well-formed as a rule, broken often enough.
 */
import { deflateRawSync } from 'node:zlib'
import { Opcode } from '../helpers/server.ts'
import { Random } from '../simulation/random.ts'

/** How a client leaves. */
export type End = 'reset' | 'end' | 'close' | 'destroy'

/** One client of the fuzzer. */
export interface Sequence {
  /** Bytes in the pieces they are written in. */
  readonly pieces: Buffer[]
  readonly end: End
  /** Whether it waits for an answer before it leaves. */
  readonly waits: boolean
}

const PATHS = ['/echo', '/echo', '/echo', '/metered', '/paused', '/held', '/iterated', '/owned', '/', '/nowhere', '/echo?a=%ff&token=x', '/%00', '*', '//', '/echo/../quiet']
const LENGTHS = [0, 1, 2, 3, 30, 125, 126, 127, 1_000, 65_535, 65_536, 70_000]
const CODES = [0, 999, 1000, 1001, 1005, 1006, 1008, 1011, 1012, 1015, 2999, 3000, 4001, 4999, 5000, 65_535]
const TEXTS = ['', 'x', 'ünïcödé', '\u0000\u001b[31m\r\nlevel=50', '💥'.repeat(30), '{"a":1}']
/** Headers that replace or join those of a good handshake; undefined leaves one out. */
const HEADERS: Array<Record<string, string | undefined>> = [
  { Host: undefined }, { Host: '' }, { Connection: undefined }, { Connection: 'keep-alive' }, { Connection: 'close, Upgrade' }, { Upgrade: 'h2c' }, { Upgrade: 'WebSocket, foo' },
  { 'Sec-WebSocket-Version': '8' }, { 'Sec-WebSocket-Version': undefined }, { 'Sec-WebSocket-Key': 'short' }, { 'Sec-WebSocket-Key': undefined },
  { 'Sec-WebSocket-Protocol': 'a, b' }, { 'Sec-WebSocket-Protocol': 'a, a' }, { 'Sec-WebSocket-Protocol': '"; drop' },
  { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=99' }, { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_no_context_takeover; client_no_context_takeover' },
  { Origin: 'http://localhost' }, { Origin: 'null' }, { Origin: 'http://evil.example' }, { Origin: '\u00e9\u00ff' }, { 'X-Forwarded-For': '1.2.3.4, unknown, ::1' }, { 'X-Forwarded-Host': 'evil.example' },
  { 'Content-Length': '5' }, { 'Transfer-Encoding': 'chunked' }, { Expect: '100-continue' }, { 'X-Owner': 'mallory' }, { 'X-Large': 'x'.repeat(20_000) }, { 'X Bad': 'name' }
]

const ID = `lifecycle.v1.${'A'.repeat(22)}`
/** Offers of lifecycle.v1. */
const OFFERS = [
  'lifecycle.v1', 'lifecycle.v1', 'lifecycle.v1', `lifecycle.v1, ${ID}`, `a, lifecycle.v1, ${ID}`, `lifecycle.v1, a, a, ${ID}, ${ID}`, 'lifecycle.v1,', ',lifecycle.v1', 'lifecycle.v1, lifecycle.v1',
  ID, `lifecycle.v1, lifecycle.v1.${'x'.repeat(9_000)}`, 'lifecycle.v1, lifecycle.v1.', 'lifecycle.v1, lifecycle.v1.\u00e9', 'lifecycle.v1; a=b', 'LIFECYCLE.V1', `lifecycle.v1${', lifecycle.v1'.repeat(500)}`
]
/** Control frames, after their prefix. */
const CONTROLS = ['{"type":"moved"}', '{"type":"moved"}', '{"type":"move","in":0,"id":"x"}', '{"type":"handover"}', '{}', 'null', '{"type":', '', `{"type":"moved","more":"${'x'.repeat(2_000)}"}`]

/** The sequence of a seed: always the same bytes. */
export function sequenceOf (seed: number): Sequence {
  const random = new Random(seed)
  const chance = (part: number) => random.next() < part
  const upto = (max: number) => Math.floor(random.next() * max)
  const oneOf = <T>(list: readonly T[]): T => list[upto(list.length)]!
  // Drawn apart: seeds that have found something without offers still make the same bytes.
  const others = new Random(seed + 0x4c46)
  const offers = others.next() < 0.3
  const anotherOf = <T>(list: readonly T[]): T => list[Math.floor(others.next() * list.length)]!
  const bytes = (length: number) => Buffer.from(Uint8Array.from({ length }, () => upto(256)))

  const handshake = (): Buffer => {
    if (chance(0.03)) return bytes(upto(300))
    const headers: Record<string, string | undefined> = {
      Host: 'localhost',
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': bytes(16).toString('base64'),
      ...(chance(0.4) ? { 'Sec-WebSocket-Extensions': 'permessage-deflate' } : {}),
      ...(chance(0.25) ? oneOf(HEADERS) : {})
    }
    if (offers) headers['Sec-WebSocket-Protocol'] = anotherOf(OFFERS)
    const lines = Object.entries(headers).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}\r\n`)
    const first = `${chance(0.97) ? 'GET' : oneOf(['POST', 'HEAD', 'OPTIONS', 'get', 'PRI'])} ${oneOf(PATHS)} HTTP/${chance(0.97) ? '1.1' : oneOf(['1.0', '0.9', '2.0'])}`
    const head = Buffer.from(`${first}\r\n${lines.join('')}\r\n`, 'latin1')
    if (chance(0.04)) return head.subarray(0, upto(head.length))
    if (chance(0.04)) head[upto(head.length)] = upto(256)
    if (chance(0.02)) return Buffer.concat([head, head])
    return head
  }

  const payload = (opcode: number): Buffer => {
    if (opcode === Opcode.Close && chance(0.9)) {
      const code = oneOf(CODES)
      return Buffer.concat([Buffer.from([code >> 8, code & 255]), chance(0.8) ? Buffer.from(oneOf(TEXTS)) : bytes(upto(20))])
    }
    if (opcode >= 8 && chance(0.9)) return bytes(upto(126))
    if (chance(0.6)) return Buffer.from(oneOf(TEXTS))
    const length = chance(0.8) ? upto(200) : oneOf(LENGTHS)
    return length > 1_000 ? Buffer.alloc(length, upto(256)) : bytes(length)
  }

  const frame = (): Buffer => {
    if (chance(0.01)) return bytes(upto(40))
    const opcode = chance(0.95) ? oneOf([0, 1, 1, 1, 1, 2, 2, 8, 9, 10]) : upto(16)
    const fin = chance(0.88)
    let data = payload(opcode)
    let rsv = chance(0.98) ? 0 : upto(8)
    if (opcode < 8 && chance(0.1)) {
      rsv = 4
      data = chance(0.8) ? deflateRawSync(chance(0.05) ? Buffer.alloc(200_000) : data) : data
    }
    // Now and then a head that lies about the length.
    const length = chance(0.98) ? data.length : oneOf(LENGTHS)
    const masked = chance(0.98)
    const bit = masked ? 128 : 0
    const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
    head[0] = (fin ? 128 : 0) | (rsv << 4) | opcode
    head[1] = bit | (length < 126 ? length : length < 65_536 ? 126 : 127)
    if (length >= 65_536) head.writeBigUInt64BE(chance(0.9) ? BigInt(length) : 2n ** BigInt(32 + upto(31)), 2)
    else if (length >= 126) head.writeUInt16BE(length, 2)
    const mask = bytes(4)
    return masked ? Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i & 3]!)]) : Buffer.concat([head, data])
  }

  const control = (): Buffer => {
    const data = Buffer.from(`\u0001lifecycle:${anotherOf(CONTROLS)}`)
    const opcode = others.next() < 0.9 ? Opcode.Text : Opcode.Binary
    const head = data.length < 126 ? [0x80 | opcode, 0x80 | data.length] : [0x80 | opcode, 0xfe, data.length >> 8, data.length & 255]
    // Masked with zeros.
    return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), data])
  }
  const whole = [handshake(), ...Array.from({ length: upto(10) }, frame)]
  if (offers) whole.splice(1, 0, ...Array.from({ length: Math.floor(others.next() * 20) }, control))
  const all = Buffer.concat(whole)
  const pieces: Buffer[] = []
  for (let from = 0, left = 1 + upto(4); from < all.length; left--) {
    const to = left <= 1 ? all.length : from + 1 + upto(all.length - from)
    pieces.push(all.subarray(from, to))
    from = to
  }
  return { pieces, end: oneOf(['reset', 'reset', 'end', 'close', 'destroy']), waits: chance(0.7) }
}
