// Runs one code block of the documents, whose file is the argument, as its reader would, except that every server gets
// a free port in place of the one it names. Afterwards every app that the block has not closed is made to listen, a client
// visits each of its WebSocket routes, and it is closed; the process must then end by itself. With an IPC channel it only
// reports the port, and stays for the test to end it.
import assert from 'node:assert/strict'
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { WebSocket } from 'ws'

const apps: FastifyInstance[] = []
const routes = new Map<FastifyInstance, string[]>()
const closed = new Set<FastifyInstance>()
/** Port a block asks for → port it got. */
const ports = new Map<number, number>()

subscribe('fastify.initialization', (message) => {
  const { fastify: app } = message as { fastify: FastifyInstance }
  const paths: string[] = []
  apps.push(app)
  routes.set(app, paths)
  app.addHook('onClose', async () => { closed.add(app) })
  app.addHook('onRoute', ({ websocket, url, method }: RouteOptions) => {
    if (websocket === true && method !== 'HEAD' && !/[:*]/.test(url)) paths.push(url)
  })
})

const { listen } = net.Server.prototype
net.Server.prototype.listen = function (this: net.Server, options: net.ListenOptions, ...rest: never[]) {
  if (typeof options !== 'object' || !options.port) return Reflect.apply(listen, this, [options, ...rest])
  const { port } = options
  this.once('listening', () => { ports.set(port, (this.address() as AddressInfo).port) })
  return Reflect.apply(listen, this, [{ ...options, host: '127.0.0.1', port: 0 }, ...rest])
} as typeof listen

const { connect } = net.Socket.prototype
net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]) {
  const [options] = Array.isArray(args[0]) ? args[0] : args
  const port = ports.get(Number(options.port))
  if (port !== undefined) Object.assign(options, { host: '127.0.0.1', port })
  return Reflect.apply(connect, this, args)
} as typeof connect

await import(pathToFileURL(process.argv[2]!).href)

if (process.send === undefined) {
  for (const app of apps) await endOf(app)
} else {
  process.send({ port: (apps[0]!.server.address() as AddressInfo).port })
}

async function endOf (app: FastifyInstance): Promise<void> {
  if (!closed.has(app)) {
    const paths = routes.get(app)!
    if (!app.server.listening && paths.length > 0) await app.listen({ port: 0, host: '127.0.0.1' })
    for (const path of paths) await visit(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}${path}`)
    await app.close()
  }
  if (!app.hasDecorator('sockets')) return
  assert.equal(app.sockets.size, 0, 'connections are left')
  assert.equal(app.sockets.stats().faults, 0, 'a handler has failed')
}

/** Opens a connection and leaves it open; a route may refuse it. */
async function visit (url: string): Promise<void> {
  const client = new WebSocket(url)
  client.on('error', () => {})
  await Promise.race([once(client, 'open'), once(client, 'unexpected-response')])
}
