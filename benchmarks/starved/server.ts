/**
 * A server that gets little CPU. argv: the folder of the compiled library, and JSON with its options and the number of
 * milliseconds of 100 for which the application keeps the event loop busy after the message 'starve'.
 *
 * Reports over IPC: { port }, then { drained } and { database: 'closed' }, and { exit, longest } at its end.
 */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import type * as Library from '../../lib/index.ts'

const [folder = '', given = '{}'] = process.argv.slice(2)
const { options, busy } = JSON.parse(given) as { options: Library.LifecycleOptions, busy: number }
const { default: sockets } = await import(pathToFileURL(join(folder, 'index.js')).href) as typeof Library

const app = Fastify()
app.addHook('onClose', async () => { process.send!({ database: 'closed' }) })
await app.register(sockets, { signals: true, ...options })
app.get('/', { websocket: true }, () => {})

// CPU time of the main thread; that of the process includes the threads of V8.
const cpu = () => Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6
let longest = 0
app.sockets.on('drain', () => {
  let before = cpu()
  setInterval(() => {
    const now = cpu()
    longest = Math.max(longest, now - before - busy)
    before = now
  }, 1).unref()
})
app.sockets.on('drained', (drained) => { process.send!({ drained }) })
process.on('exit', (exit) => { process.send!({ exit, longest }) })
process.on('message', () => {
  if (busy > 0) setInterval(work, 100)
})
await app.listen({ port: 0, host: '127.0.0.1' })
process.send!({ port: (app.server.address() as AddressInfo).port })

function work (): void {
  const until = performance.now() + busy
  while (performance.now() < until);
}
