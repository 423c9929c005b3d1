/**
 * The fuzzer: handshakes and frames from a seed, against a live server with every policy on. No crash, no leak, nothing
 * malformed from the server, and the healthy client beside it is answered throughout.
 *
 * Sequence n of a run has the seed `seed + n`: `FUZZ_SEED=<seed + n> FUZZ_SEQUENCES=1` repeats one alone.
 */
import assert from 'node:assert/strict'
import net from 'node:net'
import { it } from 'node:test'
import { maskedFrame, Opcode, portOf, until } from '../helpers/server.ts'
import { ground, repeat } from './ground.ts'
import { sequenceOf } from './sequences.ts'

const COUNT = Number(process.env.FUZZ_SEQUENCES ?? 5_000)
const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))
const PARTS = 4

// Not a diagnostic of a test: those are not shown where the process ends first.
console.log(`fuzz: FUZZ_SEED=${SEED} FUZZ_SEQUENCES=${COUNT}`)

it('a seed always makes the same sequence', () => {
  for (let seed = 0; seed < 50; seed++) assert.deepEqual(sequenceOf(seed), sequenceOf(seed))
})

// In parts, so that a part that hangs is known by its seed, and no test is long.
const parts = Math.min(PARTS, COUNT)
for (let part = 0; part < parts; part++) {
  const from = Math.floor(COUNT * part / parts)
  fuzz(SEED + from, Math.floor(COUNT * (part + 1) / parts) - from)
}

// Seeds that have found something: a malformed URL, which Fastify answers without any hook, held its TCP connection.
for (const seed of [1_507_637_365]) fuzz(seed, 1)

function fuzz (seed: number, count: number): void {
  it(`${count} sequences of raw bytes from seed ${seed} neither crash the server nor leave anything in it`, async (t) => {
    const attack = await ground(t, {
      options: { maxPayload: 64 * 1024, perMessageDeflate: { threshold: 0, concurrencyLimit: 4 } },
      limits: { total: { max: 400 }, perOwner: { max: 4, policy: 'evict-oldest' }, perAddress: { max: 300, policy: 'evict-idlest' }, handshakes: { max: 300 } },
      owner: (request) => request.headers['x-owner'] as string | undefined,
      allowedOrigins: 'same-origin',
      // Only those who have offered to move are asked.
      onOpen: (connection) => { if (connection.id % 2 === 0) void connection.move() },
      backpressure: { maxBufferedBytes: 1024 * 1024 }
    }, {
      fastify: { trustProxy: '127.0.0.1' },
      configure: (app) => {
        const rate = (policy: 'close' | 'pause') => ({ config: { sockets: { messageRate: { max: 200, burst: 3, policy } } } })
        app.get('/metered', { websocket: true, ...rate('close') }, (socket) => { socket.on('message', (data) => { socket.send(data as Buffer) }) })
        app.get('/paused', { websocket: true, ...rate('pause') }, (socket) => { socket.on('message', (data) => { socket.send(data as Buffer) }) })
        app.get('/owned', { websocket: true, preHandler: async (request) => { request.headers['x-owner'] ??= 'crowd' } }, (socket) => { socket.on('message', async () => {}) })
        app.get('/held', { websocket: true, config: { sockets: { holdMessages: true } } }, async (socket) => {
          await new Promise((resolve) => { setImmediate(resolve) })
          socket.on('message', (data) => { socket.send(data as Buffer) })
        })
        app.get('/iterated', { websocket: true }, async (socket) => {
          for await (const message of app.sockets.of(socket).messages()) socket.send(message)
        })
      }
    })
    const { app } = attack
    const failures: unknown[] = []
    await repeat(attack, count, 48, async (n) => {
      await run(portOf(app), seed + n).catch((error: unknown) => { failures.push({ seed: seed + n, error }) })
    }, 1_000)
    assert.deepEqual(failures, [])
    const { opened, refused } = app.sockets.stats()
    t.diagnostic(`opened ${opened}, refused ${Object.values(refused).reduce((sum, count) => sum + count, 0)}`)
    assert.deepEqual(attack.lines.filter(({ level }) => level > 40), [], 'what a peer does is no error of ours')
    await attack.restored()
  })
}

/** One client; rejects where the server sends what no server may, or does not let go of who has ended. */
async function run (port: number, seed: number): Promise<void> {
  const { pieces, end, waits } = sequenceOf(seed)
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  let over = false
  // Not `once(socket, 'close')`: that rejects where the server has sent RST, which it may.
  const closed = new Promise<void>((resolve) => { socket.once('close', () => { resolve() }) })
  socket.once('end', () => { over = true })
  socket.once('close', () => { over = true })
  await Promise.race([new Promise<void>((resolve) => { socket.once('connect', resolve) }), closed])
  for (const piece of pieces) {
    if (over) break
    socket.write(piece)
    await turn()
  }
  for (let i = waits ? 10 : 0; i > 0 && chunks.length === 0; i--) await turn()
  if (!over && end === 'close') socket.write(maskedFrame(Opcode.Close, Buffer.from([3, 232])))
  if (!over && end !== 'reset' && end !== 'destroy') {
    socket.end()
    await until(() => over, `the server to let go of seed ${seed}`)
  }
  if (end === 'reset' && !socket.destroyed && !socket.writableEnded) socket.resetAndDestroy()
  else socket.destroy()
  await closed
  check(Buffer.concat(chunks))
}

const turn = () => new Promise<void>((resolve) => { setImmediate(resolve) })

/** What the server has sent, maybe cut short: an HTTP answer, and after a 101 only frames that a server may send. */
function check (sent: Buffer): void {
  const head = sent.indexOf('\r\n\r\n')
  if (head === -1) return
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(sent.toString('latin1', 0, head))?.[1]
  assert.ok(status, `no HTTP answer: ${sent.toString('latin1', 0, 100)}`)
  assert.ok(!status.startsWith('5') || status === '503' || status === '505', `answered ${status}`)
  if (status !== '101') return
  let closed = false
  for (let at = head + 4; at + 2 <= sent.length;) {
    const opcode = sent[at]! & 15
    let length = sent[at + 1]! & 127
    assert.ok([0, 1, 2, 8, 9, 10].includes(opcode), `opcode ${opcode}`)
    assert.ok(!closed, `opcode ${opcode} after a close frame`)
    assert.equal(sent[at + 1]! & 128, 0, 'a server masks nothing')
    if (opcode >= 8) assert.ok(length <= 125 && (sent[at]! & 0xf0) === 0x80, 'a control frame')
    closed = opcode === Opcode.Close
    at += 2
    if (length === 126 && at + 2 <= sent.length) {
      length = sent.readUInt16BE(at)
      at += 2
    } else if (length === 127 && at + 8 <= sent.length) {
      length = Number(sent.readBigUInt64BE(at))
      at += 8
    } else if (length >= 126) return
    at += length
  }
}
