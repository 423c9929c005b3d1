/**
 * Which handshakes are for the application's own WebSocket routes, as Fastify routes them, and how they are kept from the
 * other 'upgrade' listeners of a server.
 */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions, RouteOptions } from 'fastify'
import { OwnRoutes, takeFirst } from '../../lib/http/own-handshakes.ts'

type Options = Partial<RouteOptions> & { websocket?: boolean, wsHandler?: () => void }

/** Asks for a WebSocket as a client does, and as Fastify is asked over HTTP. */
const HEADERS = { host: 'localhost', upgrade: 'websocket' }

/** An application whose routes say in their answers what they are; Fastify itself knows nothing of WebSockets. */
async function application (t: TestContext, options: FastifyServerOptions, declare: (app: FastifyInstance, route: (url: string, options?: Options, on?: FastifyInstance) => void) => void) {
  const app = Fastify(options) as unknown as FastifyInstance
  t.after(async () => { await app.close() })
  const routes = new OwnRoutes(app)
  app.addHook('onRoute', (route) => { routes.add(route) })
  declare(app, (url, options = {}, on = app) => {
    const own = options.websocket === true || options.wsHandler !== undefined
    on.route({ method: 'GET', url, handler: async ({ params }) => ({ own: own && !('*' in (params as object)) }), ...options } as RouteOptions)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const has = (url: string, headers: Record<string, string> = {}, method = 'GET') => routes.has({ method, url, headers: { ...HEADERS, ...headers } } as unknown as IncomingMessage)
  /** Says whether Fastify answers the same request with a WebSocket route that has no wildcard. */
  const routed = (path: string, headers: Record<string, string> = {}, method = 'GET') => new Promise<boolean>((resolve, reject) => {
    const { port } = app.server.address() as AddressInfo
    http.request({ port, host: '127.0.0.1', path, method, headers: { host: 'localhost', ...headers } }, async (response) => {
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
  route('/both-methods', { websocket, method: ['GET', 'HEAD'] })
  route('/head', { websocket, method: 'HEAD' })
  route('/rooms/:room', { websocket })
  route('/rooms/status')
  route('/rooms/:room/users/:user', { websocket })
  route('/maybe/:what?', { websocket })
  route('/numbers/:number(^\\d+$)', { websocket })
  route('/numbers/:number.:more')
  route('/at/:hour(^\\d{2})h:minute(^\\d{2})m', { websocket })
  route('/file/:name.:ext', { websocket })
  route('/files/*', { websocket })
  route('/files/known', { websocket })
  route('/sp%20ace', { websocket })
  route('/gr\u00fc\u00df', { websocket })
  route('/colon::s', { websocket })
  route('/hosted', { websocket, constraints: { host: 'one.example' } })
  route('/hosted', { constraints: { host: 'two.example' } })
  route('/:any', { websocket, constraints: { host: /^three/ } })
  route('/versioned', { websocket, constraints: { version: '1.2.0' } })
  void app.register(async (child) => {
    route('/', { websocket }, child)
    route('/:id', {}, child)
    route('/deep', { websocket }, child)
  }, { prefix: '/child' })
  void app.register(async (child) => {
    route('', { websocket }, child)
    route('/:id', { websocket }, child)
  }, { prefix: '/empty' })
  void app.register(async (child) => { route('/', { websocket, prefixTrailingSlash: 'slash' }, child) }, { prefix: '/slash' })
  void app.register(async (child) => {
    route('/', { websocket, prefixTrailingSlash: 'no-slash' }, child)
    route('/:id', {}, child)
  }, { prefix: '/no-slash' })
  void app.register(async (child) => { route('/', { websocket }, child) }, { prefix: '/v1/' })
}

const PATHS = ['/', '//', '/ws', '/WS', '/ws/', '//ws', '/ws//', '/ws?token=secret', '/ws?a=/plain', '/ws#a', '/ws;a=b', '/w%73', '/ws%2f', '/ws%3fa', '/%zz', '/ws%', '/ws/more', '/w',
  '/Both', '/both', '/plain', '/plain/', '/both-methods', '/head', '/rooms/', '/rooms', '/rooms/a', '/rooms/A%20b', '/rooms/a%2fb', '/rooms/status', '/rooms/status/', '/rooms/%73tatus', '/rooms/STATUS',
  '/rooms/a/users/b', '/rooms/a/users/', '/rooms/a/users/b/c', '/rooms/abcdefghi', `/rooms/${'a'.repeat(101)}`, '/maybe', '/maybe/', '/maybe/a', '/maybe/a/', '/numbers/12', '/numbers/ab', '/numbers/1.2', '/numbers/a.b', '/at/08h30m', '/at/8h30m',
  '/file/a.txt', '/file/a', '/files/a', '/files/known', '/files/known/a', '/files/', '/sp%20ace', '/sp%2520ace', '/gr%C3%BC%C3%9F', '/colon:s', '/hosted', '/three', '/versioned',
  '/child', '/child/', '/child/a', '/child/deep', '/child/deep/', '/empty', '/empty/', '/empty/a', '/slash', '/slash/', '/no-slash', '/no-slash/', '/v1', '/v1/', '/v1//', '/nowhere',
  'http://localhost/ws', 'https://other.example/ws?a', 'HTTP://localhost', 'http://localhost/plain', 'ftp://localhost/ws', '*']

const ROUTERS: FastifyServerOptions[] = [
  {},
  { routerOptions: { ignoreTrailingSlash: true } },
  { routerOptions: { ignoreDuplicateSlashes: true } },
  { routerOptions: { caseSensitive: false } },
  { routerOptions: { maxParamLength: 6 } },
  { routerOptions: { useSemicolonDelimiter: true } as object },
  { routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false } },
  // As it was written before there were routerOptions.
  { ignoreTrailingSlash: true, caseSensitive: false }
]

for (const options of ROUTERS) {
  test(`handshakes for own routes are those that Fastify routes to them: ${JSON.stringify(options)}`, async (t) => {
    const { has, routed } = await application(t, options, declareAll)
    const headers: Array<Record<string, string>> = [{}, { host: 'one.example' }, { host: 'two.example' }, { host: 'three.example' }, { 'accept-version': '1.x' }, { 'accept-version': '2.x' }]
    const found = { own: 0, other: 0 }
    for (const path of PATHS) {
      for (const more of headers) {
        const own = await routed(path, more)
        assert.equal(has(path, more), own, `${path} ${JSON.stringify(more)}`)
        found[own ? 'own' : 'other']++
      }
    }
    assert.ok(found.own > 100 && found.other > 100, JSON.stringify(found))
    assert.equal(has('/ws', {}, 'POST'), false)
    assert.equal(has('/both-methods', {}, 'HEAD'), false)
    assert.deepEqual(['h2c', 'WebSocket', ' websocket '].map((upgrade) => has('/ws', { upgrade })), [false, true, true])
  })
}

test('routes with constraints that the application has defined are left to all listeners', async (t) => {
  const strategy = {
    name: 'tenant',
    storage: () => {
      const handlers = new Map<unknown, never>()
      return { get: (tenant: unknown) => handlers.get(tenant) ?? null, set: (tenant: unknown, handler: never) => { handlers.set(tenant, handler) } }
    },
    validate: () => {},
    deriveConstraint: ({ headers }: IncomingMessage) => headers.tenant
  }
  const { has, routed } = await application(t, { routerOptions: { constraints: { tenant: strategy } } } as never, (_app, route) => {
    route('/tenant', { websocket: true, constraints: { tenant: 'a' } })
    route('/ws', { websocket: true })
  })
  assert.equal(await routed('/tenant', { tenant: 'a' }), true)
  assert.equal(has('/tenant', { tenant: 'a' }), false)
  assert.equal(has('/ws'), true)
})

// ——— in front of all listeners

function server () {
  const made = http.createServer()
  const seen: string[] = []
  made.on('upgrade', () => { seen.push('first') }).on('upgrade', () => { seen.push('second') })
  const upgrade = (url: string) => made.emit('upgrade', { url }, 'raw', 'head')
  const taken: unknown[] = []
  const take = (...args: unknown[]) => {
    if ((args[0] as { url: string }).url !== '/own') return false
    taken.push(args)
    return true
  }
  return { made, seen, upgrade, taken, takeFirst: () => takeFirst(made, take as never) }
}

test('what is taken first is seen by no listener, and everything else by all', () => {
  const { made, seen, upgrade, taken, takeFirst } = server()
  const end = takeFirst()
  assert.equal(upgrade('/own'), true)
  assert.deepEqual([seen, taken], [[], [[{ url: '/own' }, 'raw', 'head']]])
  assert.equal(upgrade('/other'), true)
  assert.deepEqual(seen, ['first', 'second'])
  assert.equal(made.emit('other', { url: '/own' }), false)
  assert.equal(taken.length, 1)
  end()
  upgrade('/own')
  assert.deepEqual([taken.length, seen.length], [1, 4])
  assert.equal(Object.hasOwn(made, 'emit'), false)
})

test('a server with one listener asks nothing', () => {
  const { made, seen, upgrade, taken, takeFirst } = server()
  made.removeListener('upgrade', made.listeners('upgrade')[0] as () => void)
  takeFirst()
  upgrade('/own')
  assert.deepEqual([seen, taken], [['second'], []])
})

test('a server whose emit was replaced before has that one again, and it hears of the rest', () => {
  const { made, upgrade, taken, takeFirst } = server()
  const { emit } = made
  const heard: string[] = []
  const replaced = made.emit = function (this: http.Server, event: string, ...args: unknown[]) {
    heard.push((args[0] as { url: string }).url)
    return Reflect.apply(emit, this, [event, ...args]) as boolean
  } as typeof emit
  const end = takeFirst()
  upgrade('/own')
  upgrade('/other')
  assert.deepEqual([taken.length, heard], [1, ['/other']])
  end()
  assert.equal(made.emit, replaced)
})

test('an emit that was replaced afterwards stays, and what it calls takes nothing any more', () => {
  const { made, seen, upgrade, taken, takeFirst } = server()
  const end = takeFirst()
  const { emit } = made
  const heard: string[] = []
  const replaced = made.emit = function (this: http.Server, event: string, ...args: unknown[]) {
    heard.push((args[0] as { url: string }).url)
    return Reflect.apply(emit, this, [event, ...args]) as boolean
  } as typeof emit
  upgrade('/own')
  assert.deepEqual([taken.length, seen.length], [1, 0])
  end()
  assert.equal(made.emit, replaced)
  upgrade('/own')
  assert.deepEqual([taken.length, seen.length, heard.length], [1, 2, 2])
})

test('a prototype that is instrumented afterwards hears of every event', () => {
  class Server extends http.Server {}
  const made = new Server()
  const heard: unknown[] = []
  takeFirst(made, () => false)
  Server.prototype.emit = function (this: Server, ...args: unknown[]) {
    heard.push(args[0])
    return Reflect.apply(http.Server.prototype.emit, this, args) as boolean
  }
  made.emit('request')
  assert.deepEqual(heard, ['request'])
})
