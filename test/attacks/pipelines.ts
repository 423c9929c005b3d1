/**
 * Raw requests around an upgrade, from a seed: pipelined before and behind it, split anywhere, half-sent, and left or reset
 * at any moment.
 */
import assert from 'node:assert/strict'
import net from 'node:net'
import { turn } from '../helpers/records.ts'
import { handshake, maskedFrame, Opcode, within } from '../helpers/server.ts'
import { Random } from '../simulation/random.ts'

/** What a client does after it has written everything. */
type End = 'reset' | 'destroy' | 'end'

/** One client. */
interface Client {
  readonly pieces: Buffer[]
  /** Turns of the event loop before the end. */
  readonly patience: number
  readonly end: End
}

/** The client of a seed. Each request has its number in its query string. */
function clientOf (seed: number): Client {
  const random = new Random(seed)
  let number = 0
  const plain = (): string => {
    const path = random.pick(['/now', '/now', '/soon', '/late', '/big', '/nowhere', '/%zz'])
    const line = `${path}?n=${number++}&`
    if (random.chance(0.3)) return `POST ${line} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello`
    if (random.chance(0.2)) return `POST ${line} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`
    return `GET ${line} HTTP/1.1\r\nHost: a\r\n${random.chance(0.05) ? 'Connection: close\r\n' : ''}\r\n`
  }
  const upgrade = (): string => {
    const path = `${random.pick(['/echo', '/echo', '/echo', '/slow', '/stuck', '/now', '/nowhere', '/%zz', '/denied'])}?n=${number++}&`
    const odd = random.chance(0.7)
      ? {}
      : random.pick<Record<string, string>>([
        { Upgrade: 'h2c' }, { Upgrade: '' }, { 'Sec-WebSocket-Key': 'short' }, { 'Sec-WebSocket-Version': '7' }, { 'Sec-WebSocket-Protocol': 'a,,b' },
        { 'Sec-WebSocket-Extensions': 'permessage-deflate; x=' }, { 'Content-Length': '5' }, { 'Transfer-Encoding': 'chunked' }, { Expect: '100-continue' }, { Connection: 'close, Upgrade' }
      ])
    const head = handshake(path, { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...odd })
    return random.chance(0.9) ? head : head.replace('GET', random.pick(['POST', 'HEAD', 'CONNECT']))
  }
  const behind = (): Buffer => random.pick([
    () => Buffer.alloc(0),
    () => maskedFrame(Opcode.Text, 'early'),
    () => Buffer.concat([maskedFrame(Opcode.Text, 'early'), maskedFrame(Opcode.Close, Buffer.from([3, 232]))]),
    () => maskedFrame(Opcode.Text, 'half').subarray(0, 4),
    () => Buffer.from('not a frame, nor a request'),
    () => Buffer.from(plain()),
    () => Buffer.from(upgrade())
  ])()
  const parts = [
    ...Array.from({ length: random.pick([0, 0, 1, 1, 2, 4]) }, () => Buffer.from(plain())),
    ...(random.chance(0.9) ? [Buffer.from(upgrade())] : []),
    ...Array.from({ length: random.pick([0, 1, 2]) }, behind)
  ]
  let all = Buffer.concat(parts)
  if (random.chance(0.15)) all = all.subarray(0, random.upTo(all.length))
  const pieces: Buffer[] = []
  for (let from = 0, left = random.pick([1, 1, 1, 2, 3, 5]); from < all.length; left--) {
    const to = left <= 1 ? all.length : random.between(from + 1, all.length)
    pieces.push(all.subarray(from, to))
    from = to
  }
  // A client of a hook that never answers would be waited for, as long as a handshake may take.
  const ends: End[] = all.includes('/stuck') ? ['reset', 'destroy'] : ['reset', 'reset', 'destroy', 'end']
  return { pieces, patience: random.pick([0, 0, 1, 2, 5, 20]), end: random.pick(ends) }
}

/** One client, until its socket is closed; rejects where it is not, or where the answers come out of order. */
export async function knock (port: number, seed: number): Promise<void> {
  const { pieces, patience, end } = clientOf(seed)
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => { socket.once('close', () => { resolve() }) })
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  socket.once('end', () => { socket.end() })
  await Promise.race([closed, new Promise((resolve) => { socket.once('connect', resolve) })])
  for (const piece of pieces) {
    if (socket.writableEnded || socket.destroyed) break
    socket.write(piece)
    await turn()
  }
  for (let i = 0; i < patience; i++) await turn()
  if (socket.destroyed || socket.writableEnded || end === 'end') socket.end()
  else if (end === 'reset') socket.resetAndDestroy()
  else socket.destroy()
  await within(20_000, closed, `the server did not let go of seed ${seed}`)
  inOrder(Buffer.concat(chunks).toString('latin1'))
}

/** Answers come in the order of their requests, and behind a 101 there is no HTTP. */
function inOrder (sent: string): void {
  const numbers = [...sent.matchAll(/<(\d+)>/g)].map(([, number]) => Number(number))
  assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b), sent.slice(0, 2_000))
  const opened = sent.indexOf('HTTP/1.1 101')
  if (opened !== -1) assert.equal(sent.indexOf('HTTP/1.1', opened + 1), -1, sent.slice(0, 2_000))
}
