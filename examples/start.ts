// `npm start`: runs server.ts in a process of its own and, when the page in browser/ asks for it, replaces that process as a
// deploy does: the next one is started, and when it is ready the one before gets SIGTERM. Both have the same port, because
// node:cluster hands each new connection to a process that listens. Ctrl-C ends all.

import cluster, { type Worker } from 'node:cluster'
import { join } from 'node:path'

cluster.setupPrimary({ exec: join(import.meta.dirname, 'server.ts') })
let current = cluster.fork()
let next: Worker | undefined

cluster.on('message', (worker, message) => {
  if (message === 'restart') next ??= cluster.fork()
  if (message !== 'ready' || worker !== next) return
  current.process.kill('SIGTERM')
  current = next
  next = undefined
})

cluster.on('exit', (worker, code, signal: NodeJS.Signals | null) => {
  if (worker === next) next = undefined
  if (worker !== current) return
  // Killed, or crashed: replaced, as by any process manager.
  if (signal !== null) current = cluster.fork()
  else process.exitCode = code
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    for (const worker of Object.values(cluster.workers!)) worker!.process.kill('SIGTERM')
  })
}
