/**
 * `npm run bench -- capacity`: what a node says that it can take, learned at up to a quarter of that, beside what it takes when more
 * clients come than it can take. For cheap and for dear handshakes.
 *
 * A client connects over TCP, sends a handshake, and closes when it is answered: a client of ws would need as much CPU as the server.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { libraryFolder } from '../library.ts'

/** Costs of a handshake beside what the plugin and Fastify need, milliseconds. */
const COSTS = [0, 1, 4, 16]
/** Milliseconds: a rate lasts so long while the node learns, and in all; and saturation. */
const STEP = 2_000
const LEARNS = 100_000
const SATURATES = 6_000
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

export async function main (): Promise<void> {
  const folder = libraryFolder()
  console.log('| cost of the hook | learned | saturated | learned / saturated |\n| ---: | ---: | ---: | ---: |')
  for (const cost of COSTS) {
    const server = fork(join(import.meta.dirname, 'server.ts'), [folder, String(cost)])
    process.once('exit', () => { server.kill('SIGKILL') })
    const [{ port }] = await once(server, 'message') as [{ port: number }]
    const ask = async () => {
      server.send('ask')
      return (await once(server, 'message') as [{ capacity: number, opened: number }])[0]
    }
    // What a handshake costs without the hook is about half a millisecond.
    const most = 1_000 / (cost + 0.5) / 4
    for (let step = 0; step < LEARNS / STEP; step++) {
      const gap = 1_000 / (most * (0.05 + 0.95 * ((step * 7) % 10) / 10))
      const until = performance.now() + STEP
      let next = performance.now()
      for (let now = next; now < until; now = performance.now()) {
        for (; next <= now; next += gap) void visit(port)
        await sleep(Math.max(1, next - now))
      }
    }
    const { capacity, opened: before } = await ask()
    const startedAt = performance.now()
    await Promise.all(Array.from({ length: CLIENTS }, async () => {
      while (performance.now() < startedAt + SATURATES) await visit(port)
    }))
    const saturated = ((await ask()).opened - before) / (performance.now() - startedAt) * 1_000
    console.log(`| ${cost} ms | ${capacity} | ${saturated.toFixed(0)} | ${(capacity / saturated).toFixed(2)} |`)
    server.kill('SIGKILL')
  }
}
