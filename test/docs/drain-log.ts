/**
 * The log of a drain as pino-pretty shows it, for the excerpt in docs/guides/deploy.md: made by a server that drains with a job that
 * takes its time, a cleanup that hangs, and a client that leaves by itself.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { prettyFactory } from 'pino-pretty'
import WebSocket from 'ws'
import plugin from '../../lib/index.ts'

/** How the page is marked. */
export const EXCERPT = /(<!-- drain log: npm run drain-log -->\n```text\n).*?(```\n<!-- end of drain log -->)/s

/** Runs the server and the drain. Returns what the log has of the drain. */
export async function drainLog (): Promise<string> {
  const pretty = prettyFactory({ colorize: false, ignore: 'pid,hostname', translateTime: 'UTC:HH:MM:ss.l' })
  let text = ''
  const app = Fastify({ logger: { level: 'info', stream: { write: (line) => { text += pretty(line) } } } })
  await app.register(plugin, { drain: { timeout: 3_000 }, cleanupTimeout: 1_000 })
  app.get('/orders', { websocket: true }, (socket) => {
    socket.on('message', async function saveOrder () { await new Promise((resolve) => setTimeout(resolve, 600)) })
  })
  app.get('/rooms/:id', { websocket: true }, (socket) => {
    app.sockets.of(socket).defer(function releaseRoom () { return new Promise(() => {}) })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const url = `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const clients: WebSocket[] = []
  for (const path of ['/orders', '/orders', '/rooms/7']) {
    const client = new WebSocket(url + path)
    clients.push(client)
    await once(client, 'open')
  }
  const arrived = new Promise((resolve) => { setImmediate(function look () { if (app.sockets.stats().working > 0) resolve(null); else setImmediate(look) }) })
  clients[0]!.send('order 17')
  await arrived
  text = ''
  await app.close()
  return text
}

/** Returns the form of a log: its numbers, times and the order of what happens at once do not count. */
export function formOf (log: string): string { return log.replace(/\d+/g, '0') }
