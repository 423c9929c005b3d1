/**
 * What an idle connection costs of the V8 heap, beside one of @fastify/websocket alone, and what is left of it when it has
 * closed. The bounds are wide: what they find is a request that is kept again, or a field that every connection pays for.
 */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import type { Socket } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Child, TYPESCRIPT } from '../helpers/child.ts'
import { handshake } from '../helpers/server.ts'
import type { Census } from './fixtures/idle-server.ts'

const CONNECTIONS = 1_000

/** As much of the bare server's bytes as ours may have; with every policy on, and an owner each. */
const SHARE = 0.65
const SHARE_OF_EVERYTHING = 0.7

/** Bytes of each connection that may be left when all have closed. */
const LEFT = 200

/** Handshakes at once, fewer than the backlog of a listener. */
const WIDTH = 100

/** What a browser sends: it weighs on a server that keeps the request. */
const HEADERS = {
  Pragma: 'no-cache',
  'Cache-Control': 'no-cache',
  'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
  Origin: 'http://localhost',
  'Accept-Encoding': 'gzip, deflate, br, zstd',
  'Accept-Language': 'en-US,en;q=0.9,de;q=0.8',
  Cookie: 'session=c2Vzc2lvbi1vZi1hLWJyb3dzZXItbGlrZS1jbGllbnQ; theme=dark; consent=all',
  'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits'
}

/** How often they are opened and closed: what V8 compiles meanwhile weighs on the first rounds, a leak on each. */
const ROUNDS = 4

/** Bytes of each connection: what it holds while it is open, and what is left of it, in the best round. */
interface Bytes { open: number, left: number }

async function measure (t: TestContext, which: 'ours' | 'everything' | 'bare', count: number): Promise<Bytes> {
  const env = { ...process.env }
  // What is noted for the coverage lies in the heap.
  delete env.NODE_V8_COVERAGE
  const child = fork(fileURLToPath(new URL('./fixtures/idle-server.ts', import.meta.url)), [which], {
    execArgv: TYPESCRIPT,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  t.after(() => { child.kill('SIGKILL') })
  const server = new Child(child)
  const port = await server.message<number>()
  const census = async (expected: number) => {
    const deadline = performance.now() + 30_000
    for (;;) {
      child.send('census')
      const { connections, heap } = await server.message<Census>()
      if (connections === expected) return heap
      assert.ok(performance.now() < deadline, `${connections} connections are open, expected ${expected}`)
    }
  }
  // Before anything is counted: code is compiled, tables have grown.
  await reset(await openAll(port))
  const rounds: Bytes[] = []
  for (let i = 0, before = await census(0); i < count; i++) {
    const sockets = await openAll(port)
    const open = await census(CONNECTIONS)
    await reset(sockets)
    const after = await census(0)
    rounds.push({ open: (open - before) / CONNECTIONS, left: (after - before) / CONNECTIONS })
    before = after
  }
  child.kill('SIGKILL')
  await server.exited
  const least = (key: keyof Bytes) => Math.round(Math.min(...rounds.map((round) => round[key])))
  return { open: least('open'), left: least('left') }
}

async function openAll (port: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < CONNECTIONS) sockets.push(...await Promise.all(Array.from({ length: WIDTH }, () => open(port))))
  return sockets
}

async function open (port: number): Promise<Socket> {
  const socket = net.connect({ port, host: '127.0.0.1' })
  socket.write(handshake('/', HEADERS))
  const [answer] = await once(socket, 'data') as [Buffer]
  assert.match(answer.toString('latin1'), /^HTTP\/1\.1 101 /)
  return socket
}

/** RST: a thousand polite ends would only use up the ports of this machine. */
async function reset (sockets: Socket[]): Promise<void> {
  await Promise.all(sockets.map(async (socket) => {
    socket.resetAndDestroy()
    await once(socket, 'close')
  }))
}

// Tests of their own: the watchdog ends a test that lasts too long, and a busy machine needs minutes for each.
let bare: Bytes
test('what an idle connection of @fastify/websocket alone costs is measured', async (t) => { bare = await measure(t, 'bare', 1) })

for (const [which, share] of [['ours', SHARE], ['everything', SHARE_OF_EVERYTHING]] as const) {
  test(`an idle connection costs no more than its share of a bare one, and leaves nothing: ${which}`, async (t) => {
    const { open, left } = await measure(t, which, ROUNDS)
    const text = `bytes of each of ${CONNECTIONS} connections, ${which}: ${open}, bare ${bare.open}; left of each: ${left}`
    t.diagnostic(text)
    assert.ok(open <= share * bare.open, text)
    assert.ok(left <= LEFT, text)
  })
}
