/**
 * Which handshakes are for the application's own static WebSocket routes, and how they are kept from `ws` servers on the same
 * HTTP server.
 */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { runInThisContext } from 'node:vm'
import { build } from 'esbuild'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions, RouteOptions } from 'fastify'
import { WebSocketServer } from 'ws'
import { bypassWsServers, OwnRoutes } from '../../lib/http/own-handshakes.ts'

type Options = Partial<RouteOptions> & { websocket?: boolean, wsHandler?: () => void }

/** An application whose routes say in their answers what they are; Fastify itself knows nothing of WebSockets. */
async function application (t: TestContext, options: FastifyServerOptions, declare: (app: FastifyInstance, route: (url: string, options?: Options, on?: FastifyInstance) => void) => void) {
  const app = Fastify(options) as unknown as FastifyInstance
  t.after(async () => { await app.close() })
  const routes = new OwnRoutes()
  app.addHook('onRoute', (route) => { routes.add(route) })
  declare(app, (url, options = {}, on = app) => {
    const own = options.websocket === true || options.wsHandler !== undefined
    on.route({ method: 'GET', url, handler: async ({ params }) => ({ own: own && Object.keys(params as object).length === 0 }), ...options } as RouteOptions)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const has = (url: string, upgrade = 'websocket') => routes.has({ url, headers: { upgrade } } as IncomingMessage)
  /** Says whether Fastify answers the same request with a static WebSocket route. */
  const routed = (path: string) => new Promise<boolean>((resolve, reject) => {
    const { port } = app.server.address() as AddressInfo
    http.request({ port, host: '127.0.0.1', path }, async (response) => {
      const chunks = await response.toArray() as Buffer[]
      resolve(response.statusCode === 200 && (JSON.parse(Buffer.concat(chunks).toString()) as { own: boolean }).own)
    }).on('error', reject).end()
  })
  return { has, routed }
}

/** Routes of every kind. */
function declareAll (app: FastifyInstance, route: (url: string, options?: Options, on?: FastifyInstance) => void): void {
  const websocket = true
  route('/', { websocket })
  route('/ws', { websocket })
  route('/Both', { wsHandler: () => {} })
  route('/plain')
  route('/rooms/:room', { websocket })
  route('/rooms/lobby', { websocket })
  route('/rooms/status')
  route('/maybe/:what?', { websocket })
  route('/numbers/:number(^\\d+$)', { websocket })
  route('/files/*', { websocket })
  route('/files/known', { websocket })
  route('/sp%20ace', { websocket })
  route('/gr\u00fc\u00df', { websocket })
  route('/colon::s', { websocket })
  route('/unconstrained', { websocket, constraints: {} })
  route('/hosted', { websocket, constraints: { host: 'one.example' } })
  void app.register(async (child) => {
    route('/', { websocket }, child)
    route('/deep', { websocket }, child)
  }, { prefix: '/child' })
  void app.register(async (child) => { route('/', { websocket, prefixTrailingSlash: 'slash' }, child) }, { prefix: '/slash' })
  void app.register(async (child) => { route('/', { websocket, prefixTrailingSlash: 'no-slash' }, child) }, { prefix: '/no-slash' })
  void app.register(async (child) => { route('/ws', { websocket }, child) }, { prefix: '/rooms/:room' })
}

const OWN = ['/', '/ws', '/ws?token=secret', '/ws?a=/plain', '/ws?', '/Both', '/rooms/lobby', '/files/known', '/unconstrained', '/child', '/child/', '/child/deep', '/slash/', '/no-slash']

const OTHER = ['//', '/WS', '/ws/', '//ws', '/w%73', '/ws%3fa', '/ws/more', '/w', '', '*', '/both', '/plain', '/plain?/ws', '/rooms/a', '/rooms/status', '/rooms/a/ws', '/maybe', '/maybe/', '/numbers/12',
  '/files/a', '/files/*', '/sp%20ace', '/gr%C3%BC%C3%9F', '/colon:s', '/hosted', '/slash', '/no-slash/', '/nowhere', 'http://localhost/ws']

/** Options of the router, and what is then not known of the application's own: its `onRoute` hooks do not get it. */
const ROUTERS: Array<[options: FastifyServerOptions, missing?: string]> = [
  [{}],
  [{ exposeHeadRoutes: false }, '/child/'],
  [{ routerOptions: { ignoreTrailingSlash: true } }, '/child/'],
  [{ routerOptions: { ignoreDuplicateSlashes: true } }],
  [{ routerOptions: { caseSensitive: false } }],
  [{ routerOptions: { useSemicolonDelimiter: true } as object }]
]

for (const [options, missing] of ROUTERS) {
  test(`paths of static WebSocket routes are known, and Fastify routes each to its route: ${JSON.stringify(options)}`, async (t) => {
    const { has, routed } = await application(t, options, declareAll)
    assert.deepEqual([...OWN, ...OTHER].filter((path) => has(path)), OWN.filter((path) => path !== missing))
    for (const path of OWN) assert.equal(await routed(path), true, path)
    assert.deepEqual(['h2c', 'WebSocket', ' websocket '].map((upgrade) => has('/ws', upgrade)), [false, true, true])
  })
}

test("a path with '%' is not that of the route which is declared with it", async (t) => {
  const { routed } = await application(t, {}, declareAll)
  assert.deepEqual([await routed('/sp%20ace'), await routed('/sp%2520ace')], [false, true])
})

// ——— around the listeners of ws servers

type Listener = (this: unknown, ...args: unknown[]) => void

/** What ws adds to a server that is given to it, of a server that only notes that it was called. */
class WsServer {
  readonly #called: () => void
  readonly listener: Listener

  constructor (called: () => void) {
    this.#called = called
    this.listener = (request, raw, head) => {
      this.handleUpgrade(request, raw, head, WsServer)
    }
  }

  handleUpgrade (..._args: unknown[]): void { this.#called() }
}

function server () {
  const made = http.createServer()
  const seen: string[] = []
  made.on('upgrade', () => { seen.push('first') }).on('upgrade', new WsServer(() => { seen.push('ws') }).listener).on('upgrade', () => { seen.push('last') })
  const upgrade = (url: string) => made.emit('upgrade', { url }, 'raw', 'head')
  const bypass = () => bypassWsServers(made, ({ url }) => url === '/own')
  /** What the listeners see of a request. */
  const seeing = (url: string) => {
    seen.length = 0
    upgrade(url)
    return seen.join()
  }
  return { made, upgrade, seeing, bypass }
}

/** Replaces the `emit` of a server, as a tool may; returns the paths of the requests that it hears of. */
function instrument (made: http.Server): string[] {
  const heard: string[] = []
  const { emit } = made
  made.emit = function (this: http.Server, event: string, ...args: unknown[]) {
    heard.push((args[0] as { url: string }).url)
    return Reflect.apply(emit, this, [event, ...args]) as boolean
  } as typeof emit
  return heard
}

test('own requests are seen by all listeners but those of ws servers, other requests and other events by all', () => {
  const { made, upgrade, seeing, bypass } = server()
  const end = bypass()
  assert.deepEqual([seeing('/own'), seeing('/other')], ['first,last', 'first,ws,last'])
  assert.deepEqual([upgrade('/own'), upgrade('/other'), made.emit('nothing', { url: '/own' })], [true, true, false])
  const others: unknown[] = []
  made.on('other', new WsServer(() => { others.push('ws') }).listener)
  made.emit('other', { url: '/own' })
  assert.deepEqual(others, ['ws'])
  end()
  assert.equal(seeing('/own'), 'first,ws,last')
  assert.equal(Object.hasOwn(made, 'emit'), false)
})

test('listeners are called as Node calls them: with the server, in their order, once where that was asked, and not after one that throws', () => {
  const { made, upgrade, bypass } = server()
  bypass()
  const calls: unknown[][] = []
  made.prependOnceListener('upgrade', function (this: unknown, ...args: unknown[]) { calls.push([this, ...args]) })
  upgrade('/own')
  upgrade('/own')
  assert.deepEqual(calls, [[made, { url: '/own' }, 'raw', 'head']])
  const order: string[] = []
  // One that is removed meanwhile is called once more.
  const removed: Listener = () => { order.push('removed') }
  made.prependOnceListener('upgrade', () => { made.removeListener('upgrade', removed) })
  made.on('upgrade', removed)
  upgrade('/own')
  upgrade('/own')
  assert.equal(order.splice(0).join(), 'removed')
  const error = new Error('listener')
  made.prependListener('upgrade', () => { throw error })
  made.prependListener('upgrade', () => { order.push('before') })
  made.on('upgrade', () => { order.push('after') })
  assert.throws(() => upgrade('/own'), error)
  assert.equal(order.join(), 'before')
})

test('a server without a ws server has its own emit called', () => {
  const { made, seeing, bypass } = server()
  const heard = instrument(made)
  made.removeListener('upgrade', made.listeners('upgrade')[1] as Listener)
  bypass()
  assert.equal(seeing('/own'), 'first,last')
  made.removeListener('upgrade', made.listeners('upgrade')[1] as Listener)
  assert.equal(seeing('/own'), 'first')
  assert.deepEqual(heard, ['/own', '/own'])
})

test('a server whose emit was replaced before has that one again, and it hears of the rest', () => {
  const { made, seeing, bypass } = server()
  const heard = instrument(made)
  const { emit } = made
  const end = bypass()
  assert.deepEqual([seeing('/own'), seeing('/other')], ['first,last', 'first,ws,last'])
  assert.deepEqual(heard, ['/other'])
  end()
  assert.equal(made.emit, emit)
})

test('an emit that was replaced afterwards stays, and what it calls leaves out no listener any more', () => {
  const { made, seeing, bypass } = server()
  const end = bypass()
  const heard = instrument(made)
  const { emit } = made
  assert.equal(seeing('/own'), 'first,last')
  end()
  assert.equal(made.emit, emit)
  assert.equal(seeing('/own'), 'first,ws,last')
  assert.deepEqual(heard, ['/own', '/own'])
})

test('a prototype that is instrumented afterwards hears of every event', () => {
  class Server extends http.Server {}
  const made = new Server()
  const heard: unknown[] = []
  bypassWsServers(made, () => false)
  Server.prototype.emit = function (this: Server, ...args: unknown[]) {
    heard.push(args[0])
    return Reflect.apply(http.Server.prototype.emit, this, args) as boolean
  }
  made.emit('request')
  assert.deepEqual(heard, ['request'])
})

// ——— what is the listener of a ws server

/** Says whether a listener is left out of own requests. */
function isLeftOut (add: (made: http.Server, called: () => void) => void): boolean {
  const made = http.createServer()
  let calls = 0
  add(made, () => { calls++ })
  made.on('upgrade', () => {})
  made.emit('upgrade', {})
  assert.equal(calls, 1)
  bypassWsServers(made, () => true)
  made.emit('upgrade', {})
  return calls === 1
}

/** A listener from its source, in a place where `this` and `wss` are a ws server. */
function isSourceLeftOut (source: string): boolean {
  return isLeftOut((made, called) => {
    const wss = { handleUpgrade: called }
    const listener = (runInThisContext(`(function (wss, done) { return ${source} })`) as Listener).call(wss, wss, () => {}) as unknown as Listener
    made.on('upgrade', listener)
  })
}

/** Adds a ws server that only notes that it was called. */
function addOf (Server: typeof WebSocketServer) {
  return (made: http.Server, called: () => void) => { new Server({ server: made }).handleUpgrade = called }
}

test('the listener of a ws server is known by its source, also bundled and minified', async () => {
  assert.equal(isLeftOut(addOf(WebSocketServer)), true)
  for (const minify of [false, true]) {
    const { outputFiles } = await build({ stdin: { contents: "export { WebSocketServer } from 'ws'", resolveDir: import.meta.dirname }, write: false, bundle: true, minify, platform: 'node', format: 'cjs', logLevel: 'error' })
    const module = { exports: {} as { WebSocketServer: typeof WebSocketServer } }
    ;(runInThisContext(`(function (require, module) { ${outputFiles[0]!.text}\n})`) as (...args: unknown[]) => void)(createRequire(import.meta.url), module)
    assert.equal(isLeftOut(addOf(module.exports.WebSocketServer)), true, `minify: ${minify}`)
  }
  // As other minifiers write it.
  assert.equal(isSourceLeftOut('(e,$,_1)=>this.handleUpgrade(e,$,_1,done)'), true)
})

for (const source of [
  '(request, raw, head) => { wss.handleUpgrade(request, raw, head, done) }',
  '(request, raw, head) => { this.handleUpgrade(request, raw, head, () => {}) }',
  '(request, raw, head) => { if (request) this.handleUpgrade(request, raw, head, done) }',
  '(request, raw, head) => { this.handleUpgrade(request, raw, head, done); done() }',
  '(request, raw, head) => { this.handleUpgrade(request, head, raw, done) }',
  '(request, raw, head) => { this.handleUpgrade(request, raw, head) }',
  '(...args) => { this.handleUpgrade(...args, done) }',
  'function (request, raw, head) { wss.handleUpgrade(request, raw, head, done) }',
  'wss.handleUpgrade.bind(wss)'
]) {
  test(`another listener is called: ${source}`, () => { assert.equal(isSourceLeftOut(source), false) })
}
