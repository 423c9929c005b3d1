/**
 * `npm run bench -- capacity`: what a node says that it can take, learned at up to half of that, beside what it takes when more
 * clients come than it can take. For cheap and for dear handshakes.
 *
 * A client connects over TCP, sends a handshake, and closes when it is answered: a client of ws would need as much CPU as the server.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { libraryFolder, programFile } from '../library.ts'

/** Costs of a handshake beside what the plugin and Fastify need, milliseconds. */
const COSTS = [0, 1, 4, 16]
/** Milliseconds: a rate lasts so long while the node learns, and in all; and saturation. */
const STEP = 2_000
const LEARNS = 60_000
const SATURATES = 5_000
/** Highest rate at which the node learns, of what a server before it could take. */
const PART = 0.5
/** Clients at a time that keep the server busy. */
const CLIENTS = 32

const HANDSHAKE = ['GET / HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', '', ''].join('\r\n')

/** Connects once; resolves when the handshake is answered and the socket is closed. */
function visit (port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => { socket.write(HANDSHAKE) })
    socket.once('data', () => { socket.destroy() })
    socket.on('error', () => {})
    socket.once('close', () => { resolve() })
  })
}

/** A server in a process of its own. */
class Server {
  readonly #process: ChildProcess
  readonly #port: Promise<number>

  constructor (folder: string, cost: number) {
    this.#process = fork(programFile(join(import.meta.dirname, 'server.ts')), [folder, String(cost)])
    process.once('exit', () => { this.stop() })
    this.#port = once(this.#process, 'message').then(([{ port }]) => (port as number))
  }

  stop (): void { this.#process.kill('SIGKILL') }

  async visit (): Promise<void> { await visit(await this.#port) }

  /** What it has learned, and the connections so far. */
  async ask (): Promise<{ capacity: number, opened: number }> {
    this.#process.send('ask')
    return (await once(this.#process, 'message') as [{ capacity: number, opened: number }])[0]
  }

  /** Clients a second that it takes when more come than it can take. */
  async saturate (): Promise<number> {
    const { opened } = await this.ask()
    const startedAt = performance.now()
    await Promise.all(Array.from({ length: CLIENTS }, async () => {
      while (performance.now() < startedAt + SATURATES) await this.visit()
    }))
    return ((await this.ask()).opened - opened) / (performance.now() - startedAt) * 1_000
  }

  /** Clients come at different rates, `most` a second at most. */
  async learn (most: number): Promise<void> {
    for (let step = 0; step < LEARNS / STEP; step++) {
      const gap = 1_000 / (most * (0.05 + 0.95 * ((step * 7) % 10) / 10))
      const until = performance.now() + STEP
      let next = performance.now()
      for (let now = next; now < until; now = performance.now()) {
        for (; next <= now; next += gap) void this.visit()
        await sleep(Math.max(1, next - now))
      }
    }
  }
}

export async function main (): Promise<void> {
  const folder = libraryFolder()
  console.log('| cost of the hook | learned | saturated | learned / saturated |\n| ---: | ---: | ---: | ---: |')
  for (const cost of COSTS) {
    const first = new Server(folder, cost)
    await first.visit()
    // The first seconds are slower, as no code is compiled yet.
    await first.saturate()
    const most = await first.saturate() * PART
    first.stop()
    const server = new Server(folder, cost)
    await server.learn(most)
    const { capacity } = await server.ask()
    const saturated = await server.saturate()
    console.log(`| ${cost} ms | ${capacity} | ${saturated.toFixed(0)} | ${(capacity / saturated).toFixed(2)} |`)
    server.stop()
  }
}
