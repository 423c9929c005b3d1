// A server to try out; `npm start` runs it (start.ts). /echo is a plain handler; /jobs uses the plugin: messages one at a time,
// work that a drain waits for, cleanups; the page at / survives a restart (browser/). Ctrl-C shows the drain.

import cluster from 'node:cluster'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import sockets from '../lib/index.ts'
import { addPage } from './browser/page.ts'

const port = readPort()
const jobTime = 3_000
const receiptTime = 200

const app = Fastify({ logger: { level: 'warn' } })

// Ctrl-C reaches every process of a terminal; start.ts passes it on.
if (cluster.isWorker) process.on('SIGINT', () => {})

await app.register(sockets, {
  signals: cluster.isWorker ? ['SIGTERM'] : true,
  readiness: '/ready',
  // As in a deployment manifest; it leaves jobs of three seconds enough time to finish.
  drain: { terminationGracePeriod: 20_000 },
  // Pages of other sites may not press the button.
  allowedOrigins: 'same-origin',
  // The last message before the close frame.
  onDrain: ({ socket, route }) => {
    if (route !== '/counter') socket.send('The server restarts. Work in flight will finish.')
  }
})

await app.register(addPage)

app.get('/echo', { websocket: true }, (socket) => {
  socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }))
})

app.get('/jobs', { websocket: true }, async (socket) => {
  const connection = app.sockets.of(socket)
  let done = 0
  connection.defer(() => say(`#${connection.id} cleaned up after ${done} jobs`))

  for await (const job of connection.messages()) {
    say(`#${connection.id} works on "${job}"`)
    socket.send(`"${job}" takes ${jobTime / 1_000} s`)
    await sleep(jobTime)
    socket.send(`"${job}" is done`)
    done++
    // The next job does not wait for it; a drain does.
    void connection.track(fileReceipt(connection.id))
  }
})

app.sockets.on('open', ({ id, route }) => say(`#${id} opened on ${route}, ${app.sockets.size} open`))
app.sockets.on('closed', ({ id, route }, { code, cause, duration }) => {
  say(`#${id} closed on ${route}: ${code} (${cause}) after ${seconds(duration)}`)
})
app.sockets.on('drain', ({ trigger, connections, timeout }) => {
  const many = connections === 1 ? 'one connection' : `${connections} connections`
  say(`${trigger}: draining ${many} in at most ${seconds(timeout)}; a second signal cuts it off`)
})
let shown = ''
app.sockets.on('progress', ({ phase, elapsed, connections, working }) => {
  // The event comes four times per second; print once per second, and when something has changed.
  const now = `${phase} ${Math.floor(elapsed / 1_000)} ${connections} ${working}`
  if (now === shown) return
  shown = now
  say(`  ${phase.padEnd(8)} ${seconds(elapsed)}  ${connections} left, ${working} at work`)
})
app.sockets.on('drained', ({ duration, connections, work, cleanups, aborted }) => {
  say(`${aborted ? 'Cut short' : 'Drained'} after ${seconds(duration)}: ` +
    `${connections.clean} of ${connections.total} closed cleanly, ${connections.terminated} cut off, ` +
    `${work.finished} of ${work.inFlight} at work finished, ${cleanups.finished} cleanups done`)
})

try {
  await app.listen({ port })
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
  console.error(`Port ${port} is taken. Choose another: PORT=${port + 1} npm start`)
  process.exit(1)
}

const connect = 'node --import ./scripts/typescript.js examples/connect.ts'
const { port: listening } = app.server.address() as AddressInfo
say(`Listening on port ${listening}. Connect from another terminal:

  ${connect} ws://localhost:${listening}/echo
  ${connect} ws://localhost:${listening}/jobs

Or open http://localhost:${listening} in a browser, and restart the server there.

Readiness: http://localhost:${listening}/ready. Ctrl-C drains:

${app.sockets.plan().toString()}
`)
process.send?.('ready')

function readPort (): number {
  const given = process.env.PORT ?? '3000'
  const port = Number(given)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  console.error(`PORT must be a port number, got "${given}"`)
  process.exit(1)
}

async function fileReceipt (id: number): Promise<void> {
  await sleep(receiptTime)
  say(`#${id} receipt filed`)
}

function say (text: string): void {
  console.log(text)
}

function seconds (milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`
}
