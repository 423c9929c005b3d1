/**
 * Frames that are built once, on real sockets: byte for byte those of ws, in order with what ws sends itself, and by plain
 * `send` where ws looks different from what we know.
 */
import assert from 'node:assert/strict'
import { Blob } from 'node:buffer'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { WebSocket } from 'ws'
import { messageFrame, PING } from '../../lib/ws/frames.ts'
import { writeMessage, writePing } from '../../lib/ws/writes.ts'
import { isMidMessage } from '../../lib/base/internals.ts'
import { connect, start, until } from '../helpers/server.ts'
import type { TestApp, TestClient } from '../helpers/server.ts'

/** Around each length at which the header changes (RFC 6455 §5.2). */
const LENGTHS = [0, 1, 125, 126, 65_535, 65_536]

type Sender = Record<string, unknown> & { constructor: { frame: (data: Buffer, options: object) => Buffer[] } }
type Inside = WebSocket & { _sender: Sender | undefined, _socket: Socket }

interface Line { app: TestApp, client: TestClient, socket: Inside }

/** A client and the socket that serves it. */
async function line (t: TestContext, { deflate = false } = {}): Promise<Line> {
  const app = await start(t, { heartbeat: false, options: deflate ? { perMessageDeflate: { threshold: 0 } } : {} }, (app) => {
    app.get('/', { websocket: true }, () => {})
  })
  const client = await connect(t, app, '/', { perMessageDeflate: deflate })
  return { app, client, socket: app.sockets.list()[0]!.socket as Inside }
}

/** Keeps what is written to a raw socket from now on, a chunk each. */
function writes ({ _socket: raw }: Inside): Buffer[] {
  const chunks: Buffer[] = []
  const { write } = raw
  raw.write = ((chunk: Buffer, ...rest: never[]) => {
    chunks.push(chunk)
    return Reflect.apply(write, raw, [chunk, ...rest]) as boolean
  }) as typeof write
  return chunks
}

/** What ws makes of a message. */
function encodedByWs ({ _sender }: Inside, payload: Buffer, opcode: number): Buffer {
  return Buffer.concat(_sender!.constructor.frame(payload, { fin: true, opcode, mask: false, rsv1: false, readOnly: true }))
}

// ——— bytes

test('frames are byte for byte those of ws, at every length at which the header changes', async (t) => {
  const { socket } = await line(t)
  for (const length of LENGTHS) {
    const text = 'x'.repeat(length)
    assert.ok(encodedByWs(socket, Buffer.from(text), 1).equals(messageFrame(text).bytes as Buffer), `text of ${length}`)
    assert.ok(encodedByWs(socket, Buffer.from(text), 2).equals(messageFrame(Buffer.from(text)).bytes as Buffer), `bytes of ${length}`)
  }
})

test('a client of ws reads them, text as text and bytes as bytes', async (t) => {
  const { client, socket } = await line(t)
  for (const length of LENGTHS) {
    const text = 'x'.repeat(length)
    writeMessage(socket, messageFrame(text))
    writeMessage(socket, messageFrame(Buffer.from(text)))
    assert.ok(await client.next() === text, `text of ${length}`)
    const bytes = await client.next()
    assert.ok(Buffer.isBuffer(bytes) && bytes.equals(Buffer.from(text)), `bytes of ${length}`)
  }
})

test('text is valid UTF-8, whatever the string is: a lone surrogate becomes U+FFFD, and the client stays', async (t) => {
  const { client, socket } = await line(t)
  for (const [text, expected = text] of [['grüße 🙂 \u0000 \uFFFF'], ['\uD83D', '\uFFFD'], ['a\uDE42b', 'a\uFFFDb']] as const) {
    writeMessage(socket, messageFrame(text))
    assert.equal(await client.next(), expected)
  }
  // The length is that of the bytes.
  const long = 'ü'.repeat(63)
  assert.deepEqual([...messageFrame(long).bytes.subarray(0, 4)], [0x81, 126, 0, 126])
  assert.equal(client.socket.readyState, client.socket.OPEN)
})

test('the bytes are those at the call, and only those of the view', () => {
  const whole = new Uint8Array([9, 1, 2, 3, 9])
  const frame = messageFrame(whole.subarray(1, 4))
  whole.fill(7)
  assert.deepEqual([...frame.bytes], [0x82, 3, 1, 2, 3])
  assert.deepEqual([...frame.payload], [1, 2, 3])
  assert.deepEqual([frame.text, messageFrame('x').text], [undefined, 'x'])
})

// ——— one write

test('a message is one write: the frame itself, which all share', async (t) => {
  const { client, socket } = await line(t)
  const chunks = writes(socket)
  for (const data of ['hello', '', Buffer.alloc(70_000)]) {
    const frame = messageFrame(data)
    writeMessage(socket, frame)
    assert.equal(chunks.pop(), frame.bytes)
    assert.equal(chunks.length, 0)
    await client.next()
  }
})

test('it says whether the kernel has taken it', async (t) => {
  const { client, socket } = await line(t)
  const frame = messageFrame(Buffer.alloc(1_048_576))
  client.socket.pause()
  assert.equal(writeMessage(socket, messageFrame('small')), true)
  for (let i = 0; writeMessage(socket, frame); i++) assert.ok(i < 100, 'the kernel takes everything')
  assert.equal(writeMessage(socket, messageFrame('small')), false)
  client.socket.resume()
  await until(() => socket.bufferedAmount === 0)
  assert.equal(writeMessage(socket, messageFrame('small')), true)
})

test('what is written past ws counts towards maxBufferedBytes', async (t) => {
  const app = await start(t, { heartbeat: false, backpressure: { maxBufferedBytes: 100_000 } }, (app) => { app.get('/', { websocket: true }, () => {}) })
  const client = await connect(t, app, '/')
  client.socket.pause()
  const connection = app.sockets.list()[0]!
  const frame = messageFrame(Buffer.alloc(1_048_576))
  for (let i = 0; connection.state === 'open'; i++) {
    assert.ok(i < 100, 'the kernel takes everything, or nothing is counted')
    writeMessage(connection.socket, frame)
  }
  client.socket.resume()
  assert.equal((await client.closed).code, 4008)
})

test('nothing is written to a socket that is not open', async (t) => {
  const { client, socket } = await line(t)
  socket.close(1000)
  const chunks = writes(socket)
  writeMessage(socket, messageFrame('late'))
  assert.deepEqual(chunks, [])
  assert.equal((await client.closed).code, 1000)
  assert.deepEqual(client.unread, [])
})

// ——— by plain `send`

test('a socket that compresses gets compressed frames, in order', async (t) => {
  const { client, socket } = await line(t, { deflate: true })
  const chunks = writes(socket)
  const text = 'x'.repeat(10_000)
  const expected: string[] = []
  for (let i = 0; i < 10; i++) {
    if (i % 2 === 0) writeMessage(socket, messageFrame(`${i} ${text}`))
    else socket.send(`${i} ${text}`)
    expected.push(`${i} ${text}`)
  }
  await until(() => client.unread.length === 10)
  assert.deepEqual(client.unread, expected)
  assert.ok(chunks.reduce((sum, { length }) => sum + length, 0) < 10_000, 'nothing was compressed')
})

test('while compression is under way a message waits in our process', async (t) => {
  const { client, socket } = await line(t, { deflate: true })
  assert.equal(writeMessage(socket, messageFrame('x'.repeat(10_000))), false)
  assert.equal((await client.next()).length, 10_000)
})

test('what ws has not sent yet is not overtaken: a Blob that is being read', async (t) => {
  const { client, socket } = await line(t)
  socket.send(new Blob(['first']) as never, { binary: false })
  assert.equal(writeMessage(socket, messageFrame('second')), false)
  socket.send('third')
  assert.deepEqual([await client.next(), await client.next(), await client.next()], ['first', 'second', 'third'])
  // With an empty queue it goes past ws again.
  const chunks = writes(socket)
  const frame = messageFrame('fourth')
  writeMessage(socket, frame)
  assert.equal(chunks[0], frame.bytes)
})

test('a `send` that the application has replaced is called with the message, text as text', async (t) => {
  const { client, socket } = await line(t)
  const chunks = writes(socket)
  const calls: unknown[][] = []
  const { send } = socket
  socket.send = ((...args: never[]) => {
    calls.push(args)
    Reflect.apply(send, socket, args)
  }) as typeof send
  writeMessage(socket, messageFrame('text'))
  writeMessage(socket, messageFrame(Buffer.from('bytes')))
  assert.deepEqual(calls, [['text'], [Buffer.from('bytes')]])
  assert.deepEqual([await client.next(), await client.next()], ['text', Buffer.from('bytes')])
  // Once it is back, messages are written directly again.
  Reflect.deleteProperty(socket, 'send')
  const frame = messageFrame('direct')
  writeMessage(socket, frame)
  assert.equal(chunks.at(-1), frame.bytes)
  assert.equal(calls.length, 2)
})

// ——— another ws

const KNOWN = { _state: 0, _queue: [], _firstFragment: true, _extensions: {} }

/** A sender that sends as the real one does, and shows of itself only what a test says. */
function otherSender (real: Sender, shown: object, frame: unknown): Sender {
  class OtherSender {}
  Object.assign(OtherSender, { frame })
  const other = Object.assign(new OtherSender(), shown)
  for (const name of ['send', 'ping', 'pong', 'close']) {
    Object.defineProperty(other, name, { value: (...args: unknown[]) => Reflect.apply(real[name] as () => void, real, args) as unknown })
  }
  Object.defineProperty(other, '_bufferedBytes', { get: () => real._bufferedBytes })
  return other as unknown as Sender
}

const without = (name: keyof typeof KNOWN) => Object.fromEntries(Object.entries(KNOWN).filter(([key]) => key !== name))

/** What another version of ws may look like: its fields, and how it encodes; null where it encodes as ours does. */
const others: Array<[what: string, shown: object, frame: unknown]> = [
  ...(['_state', '_queue', '_firstFragment', '_extensions'] as const).map((name): [string, object, null] => [`no ${name}`, without(name), null]),
  ['a state that is a word', { ...KNOWN, _state: 'idle' }, null],
  ['a queue that is no array', { ...KNOWN, _queue: new Set() }, null],
  ['no static frame', KNOWN, undefined],
  ['a frame that throws', KNOWN, () => { throw new Error('gone') }],
  ['a frame that gives a promise', KNOWN, () => Promise.resolve([])],
  ['a frame that encodes otherwise', KNOWN, (data: Buffer) => [Buffer.from([0x82, 0x7f]), data]]
]

for (const [what, shown, frame] of others) {
  test(`a sender with ${what} takes plain \`send\`, and the client gets the same`, async (t) => {
    const { client, socket } = await line(t)
    const real = socket._sender!
    socket._sender = otherSender(real, shown, frame === null ? real.constructor.frame : frame)
    const chunks = writes(socket)
    for (const length of LENGTHS) {
      const data = Buffer.alloc(length, 'x')
      const text = messageFrame(data.toString())
      writeMessage(socket, text)
      writeMessage(socket, messageFrame(data))
      assert.ok(!chunks.includes(text.bytes as Buffer), 'was written past ws')
      assert.deepEqual([await client.next(), await client.next()], [data.toString(), data])
    }
    assert.equal(isMidMessage(socket), false)
    writePing(socket, () => {})
    assert.deepEqual(await once(client.socket, 'ping'), [PING])
  })
}

test('a sender of another class that looks and encodes as we know goes past ws, too', async (t) => {
  const { client, socket } = await line(t)
  const real = socket._sender!
  socket._sender = otherSender(real, KNOWN, real.constructor.frame)
  const chunks = writes(socket)
  const frame = messageFrame('hello')
  writeMessage(socket, frame)
  assert.equal(chunks[0], frame.bytes)
  assert.equal(await client.next(), 'hello')
})

test('a socket without a sender takes plain `send`', async () => {
  const sent: unknown[][] = []
  const socket = { readyState: 1, OPEN: 1, bufferedAmount: 0, send: (...args: unknown[]) => { sent.push(args) } } as unknown as WebSocket
  assert.equal(writeMessage(socket, messageFrame('hello')), true)
  assert.deepEqual(sent, [['hello']])
  assert.equal(isMidMessage(socket), false)
})

// ——— fragments and pings

test('it is known whether a socket is in the middle of a fragmented message, compressed or not', async (t) => {
  for (const deflate of [false, true]) {
    const { client, socket } = await line(t, { deflate })
    assert.equal(isMidMessage(socket), false)
    socket.send('one, ', { fin: false })
    assert.equal(isMidMessage(socket), true)
    socket.send('two, ', { fin: false })
    assert.equal(isMidMessage(socket), true)
    socket.send('three', { fin: true })
    assert.equal(isMidMessage(socket), false)
    assert.equal(await client.next(), 'one, two, three')
  }
})

test('a ping is one write, and tells when it has left', async (t) => {
  const { client, socket } = await line(t)
  const chunks = writes(socket)
  const pinged = once(client.socket, 'ping')
  await new Promise<void>((resolve) => { writePing(socket, resolve) })
  assert.deepEqual(chunks.map((chunk) => [...chunk]), [[0x89, PING.length, ...PING]])
  assert.deepEqual(await pinged, [PING])
})

test('the frame of a ping is one and the same for all connections', async (t) => {
  const lines = [await line(t), await line(t)]
  const chunks = lines.map(({ socket }) => writes(socket))
  for (const { socket } of lines) await new Promise<void>((resolve) => { writePing(socket, resolve) })
  assert.deepEqual(chunks.map(({ length }) => length), [1, 1])
  assert.equal(chunks[0]![0], chunks[1]![0])
})

test('a ping does not overtake what is being compressed, and fits between fragments', async (t) => {
  const { client, socket } = await line(t, { deflate: true })
  const seen: string[] = []
  client.socket.on('message', () => { seen.push('message') })
  client.socket.on('ping', () => { seen.push('ping') })
  socket.send('x'.repeat(100_000))
  writePing(socket, () => {})
  await until(() => seen.length === 2)
  assert.deepEqual(seen, ['message', 'ping'])
  socket.send('one, ', { fin: false })
  await until(() => socket.bufferedAmount === 0)
  writePing(socket, () => {})
  await until(() => seen.length === 3)
  socket.send('two')
  await until(() => seen.length === 4)
  assert.deepEqual(seen.slice(2), ['ping', 'message'])
})
