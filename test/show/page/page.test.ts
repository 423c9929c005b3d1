/**
 * The page without a browser: registration, headers, views, search and order, and the stream of numbers.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import test from 'node:test'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { gzipSync } from 'node:zlib'
import { assets } from '../../../lib/show/page/assets.ts'
import type { PageOptions } from '../../../lib/show/page/index.ts'
import page from '../../../lib/show/page/index.ts'
import type { ManagedTracker } from '../../../lib/track/managed-tracker.ts'
import { connect, create, portOf, start, until } from '../../helpers/server.ts'
import type { TestApp } from '../../helpers/server.ts'

/** The most that a view, the script and the style may have together, gzipped, bytes. */
const MAX_BYTES = 12 * 1_024

/** An app that keeps owners in its history, with the page at /ops and a WebSocket route; `?user=` is the owner. */
function startWithPage (t: test.TestContext, options: PageOptions = { unprotected: true }, configure?: (app: TestApp) => unknown, fastify: Record<string, unknown> = {}): Promise<TestApp> {
  return start(t, { owner: (request) => (request.query as { user?: string }).user, allowedOrigins: false, history: { keep: ['owner', 'ip'] } }, async (app) => {
    await configure?.(app)
    app.get('/chat/:room', { websocket: true }, (socket, request) => {
      const connection = app.sockets.of(socket)
      connection.tag((request.params as { room: string }).room)
    })
    await app.register(page, { prefix: '/ops', ...options })
  }, { fastify })
}

/** The HTML of a view. */
async function view (app: TestApp, query = ''): Promise<string> {
  const response = await app.inject(`/ops${query}`)
  assert.equal(response.statusCode, 200)
  assert.equal(response.headers['content-type'], 'text/html; charset=utf-8')
  return response.body
}

/** The ids in the table of a view. */
const idsIn = (body: string): number[] => [...body.matchAll(/<td><a href="\?id=(\d+)">/g)].map(([, id]) => Number(id))

/** The link of a view with this text. */
function linkIn (body: string, text: string): string {
  const link = new RegExp(`<a [^>]*href="([^"]*)"[^>]*>${text}</a>`).exec(body)?.[1]
  assert.ok(link, `there is no link "${text}"`)
  return link.replaceAll('&amp;', '&')
}

test('the page is not registered without a hook that authenticates, and not with unknown options', async (t) => {
  const register = async (options: object) => {
    const app = create(t)
    await app.register((await import('../../../lib/index.ts')).default)
    await app.register(page, options)
  }
  await assert.rejects(register({}), { code: 'SOCKETS_ERR_PAGE_UNPROTECTED' })
  await assert.rejects(register({ onRequest: [] }), { code: 'SOCKETS_ERR_PAGE_UNPROTECTED' })
  await assert.rejects(register({ onRequest: [undefined] }), { code: 'SOCKETS_ERR_INVALID_OPTION' })
  await assert.rejects(register({ preHandler: 'basic' }), { code: 'SOCKETS_ERR_INVALID_OPTION' })
  await assert.rejects(register({ unprotected: true, actions: ['restart'] }), { code: 'SOCKETS_ERR_INVALID_OPTION', message: 'actions must be an array of "disconnect", "drain", got ["restart"]' })
  await assert.rejects(register({ unprotected: true, action: ['drain'] }), { code: 'SOCKETS_ERR_INVALID_OPTION', message: 'unknown option "action"; did you mean "actions"?' })
  await register({ unprotected: true })
})

test('the page is not registered without the plugin', async (t) => {
  const app = create(t)
  await assert.rejects(async () => { await app.register(page, { unprotected: true }) }, /fastify-websocket-lifecycle/)
  // The helper looks for what the app has left.
  app.decorate('sockets', undefined as never)
})

test('hooks guard every part of the page, and nothing else', async (t) => {
  const app = await startWithPage(t, { preHandler: async (_request, reply) => reply.code(401).send() }, (app) => { app.get('/other', () => 'public') })
  for (const url of ['/ops', '/ops/', '/ops?part=live', '/ops?part=script', '/ops?part=style', '/ops?view=history']) assert.equal((await app.inject(url)).statusCode, 401, url)
  assert.equal((await app.inject('/other')).statusCode, 200)
})

test('the page may be in a child context, at the root, and at several places', async (t) => {
  const app = await startWithPage(t, undefined, async (app) => {
    await app.register(async (child) => { await child.register(page, { prefix: '/inner', unprotected: true }) }, { prefix: '/outer' })
    await app.register(page, { unprotected: true })
  })
  for (const url of ['/ops', '/ops/', '/outer/inner', '/']) {
    const { statusCode, body } = await app.inject(`${url}?view=history`)
    assert.deepEqual([statusCode, /<h2>(.*)<\/h2>/.exec(body)![1]], [200, 'History'], url)
  }
})

test('every answer forbids caches, frames, foreign content and inline scripts', async (t) => {
  const app = await startWithPage(t)
  for (const query of ['', '?view=history', '?view=routes', '?view=drain', '?id=1', '?part=script', '?part=style']) {
    const { headers, body } = await app.inject(`/ops${query}`)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /^default-src 'none';/)
    assert.match(policy, /frame-ancestors 'none'/)
    assert.doesNotMatch(policy, /unsafe|\*|data:|https?:/)
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['referrer-policy'], 'same-origin')
    if (!query.startsWith('?part')) assert.doesNotMatch(body, /<style|<script(?! type="module" src="\?part=script"><\/script>)| style=| on\w+=/)
  }
})

test('so does the answer to an act, also to one that cannot be read', async (t) => {
  const app = await startWithPage(t)
  for (const [type, payload, status] of [['application/json', '{}', 403], ['application/json', '{', 400], ['application/json', '', 400], ['application/xml', '<a>', 415], ['application/json', `"${'x'.repeat(5_000)}"`, 413]] as const) {
    const { statusCode, headers } = await app.inject({ method: 'POST', url: '/ops', payload, headers: { 'content-type': type } })
    assert.deepEqual([statusCode, headers['cache-control'], headers['x-content-type-options']], [status, 'no-store', 'nosniff'])
    assert.match(String(headers['content-security-policy']), /^default-src 'none';/)
  }
})

test('links and forms lead to the page itself by a query alone', async (t) => {
  const app = await startWithPage(t)
  await connect(t, app, '/chat/a?user=ada')
  for (const query of ['', '?view=history', '?view=drain', `?id=${app.sockets.list()[0]!.id}`]) {
    const body = await view(app, query)
    const addresses = [...body.matchAll(/(?:href|src|action)="([^"]*)"/g)].map(([, address]) => address!)
    assert.ok(addresses.length >= 5)
    for (const address of addresses) assert.match(address, /^\?/)
  }
})

test('a full view with the script and the style has at most 12 KB', async (t) => {
  const app = await startWithPage(t, { unprotected: true, actions: ['disconnect', 'drain'] })
  for (let i = 0; i < 60; i++) await connect(t, app, `/chat/room-${i * 7919}?user=user-${i * 104729}`)
  const sizes = [await view(app), assets.script.text(), assets.style.text()].map((text) => gzipSync(text).length)
  const sum = sizes.reduce((total, size) => total + size)
  assert.ok(sum <= MAX_BYTES, `${sizes.join(' + ')} = ${sum} bytes`)
})

test('connections are searched by owner, tag, route, address and id, in any case of letters', async (t) => {
  const app = await startWithPage(t)
  await connect(t, app, '/chat/lobby?user=Ada')
  await connect(t, app, '/chat/cellar?user=Grace')
  const [ada, grace] = app.sockets.list().map(({ id }) => id) as [number, number]
  // Ids count all connections of the process: one may be a part of the address.
  const byId = '127.0.0.1'.includes(String(ada)) ? [grace, ada] : [ada]
  for (const [q, ids] of [['', [grace, ada]], ['ADA', [ada]], ['cell', [grace]], ['/chat/', [grace, ada]], ['127.0.0', [grace, ada]], [String(ada), byId], ['nothing', []]] as const) {
    assert.deepEqual(idsIn(await view(app, `?q=${encodeURIComponent(q)}`)), ids, q)
  }
  assert.deepEqual(idsIn(await view(app, '?state=draining')), [])
  assert.deepEqual(idsIn(await view(app, '?state=open&q=ada')), [ada])
})

test('connections are sorted by their columns, and 50 rows are shown at a time', async (t) => {
  const app = await startWithPage(t)
  for (let i = 0; i < 60; i++) await connect(t, app, `/chat/a?user=${String(i * 37 % 60).padStart(2, '0')}`)
  const byOwner = app.sockets.list().toSorted((a, b) => a.owner! < b.owner! ? -1 : 1).map(({ id }) => id)
  const first = await view(app, linkIn(await view(app), 'Owner'))
  assert.deepEqual(idsIn(first), byOwner.slice(0, 50))
  assert.match(first, /1–50 of 60/)
  const second = await view(app, linkIn(first, 'Next'))
  assert.deepEqual(idsIn(second), byOwner.slice(50))
  assert.match(second, /51–60 of 60/)
  assert.deepEqual(idsIn(await view(app, linkIn(second, 'Previous'))), byOwner.slice(0, 50))
  assert.deepEqual(idsIn(await view(app, linkIn(second, 'First'))), byOwner.slice(0, 50))
  assert.deepEqual(idsIn(await view(app, linkIn(first, 'Owner'))), byOwner.toReversed().slice(0, 50))
  for (const name of ['Id', 'State', 'Route', 'Address', 'Round trip', 'Messages']) {
    assert.equal(idsIn(await view(app, linkIn(first, name))).length, 50, name)
  }
})

test('a query that makes no sense shows the first rows', async (t) => {
  const app = await startWithPage(t)
  await connect(t, app, '/chat/a')
  const { id } = app.sockets.list()[0]!
  for (const query of ['?sort=__proto__', '?sort=tags&dir=up', '?after=x', '?after=%00', '?view=unknown', '?part=unknown', '?q=&state=&sort=']) {
    assert.deepEqual(idsIn(await view(app, query)), [id], query)
  }
  assert.match(await view(app, '?id=__proto__'), /Neither an open connection nor one of the/)
  assert.match(await view(app, `?before=${id + 1}:${id + 1}`), /1 in all/)
})

test('what clients and the application have chosen is shown as text, in every view', async (t) => {
  const app = await startWithPage(t)
  const hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
  const client = await connect(t, app, `/chat/${encodeURIComponent(hostile)}?user=${encodeURIComponent(hostile)}`)
  const gone = await connect(t, app, '/chat/a')
  await gone.close(4000, hostile.slice(0, 60))
  await until(() => app.sockets.history.length === 1)
  const { id } = app.sockets.list()[0]!
  for (const query of ['', `?id=${id}`, '?view=history', `?q=${encodeURIComponent(hostile)}`, `?view=history&code=${encodeURIComponent(hostile)}&cause=${encodeURIComponent(hostile)}`]) {
    const body = await view(app, query)
    assert.doesNotMatch(body, /<script>|<img/, query)
    assert.match(body, /&lt;script&gt;/, query)
  }
  await client.close()
})

test('routes are shown with their numbers', async (t) => {
  const app = await startWithPage(t)
  const client = await connect(t, app, '/chat/a')
  client.send('12345')
  await until(() => app.sockets.stats().routes['/chat/:room']!.messages.received === 1)
  const body = await view(app, '?view=routes&sort=open')
  const numbers = ['1', '0', '0', '1', '0', '1', '0', '5 B', '0 B'].map((text) => `<td class="n">${text}</td>`).join('')
  assert.ok(body.includes(`<tr><td>/chat/:room</td>${numbers}</tr>`), body)
})

test('the history is searched by owner, cause and code', async (t) => {
  const app = await startWithPage(t)
  for (const code of [1000, 4000, 4001]) await (await connect(t, app, '/chat/a')).close(code)
  await connect(t, app, '/chat/a?user=ada')
  await until(() => app.sockets.history.length === 3)
  app.sockets.disconnect({ owner: 'ada' }, { reason: 'account closed' })
  await until(() => app.sockets.history.length === 4)
  const rows = async (query: string) => (await view(app, `?view=history${query}`)).match(/<tr><td>/g)?.length ?? 0
  assert.equal(await rows(''), 4)
  assert.equal(await rows('&cause=disconnected'), 1)
  assert.equal(await rows('&cause=client'), 3)
  assert.equal(await rows('&cause=client&code=4001'), 1)
  assert.equal(await rows('&code=1001'), 0)
  assert.equal(await rows('&owner=ada'), 1)
  assert.equal(await rows('&owner=ad'), 0)
})

test('a connection is shown with its story, open and closed', async (t) => {
  const app = await startWithPage(t, { unprotected: true, actions: ['disconnect'] })
  const client = await connect(t, app, '/chat/a?user=ada', { protocols: ['chat'] })
  const connection = app.sockets.list()[0]!
  connection.expiresAt = Date.now() + 60_000
  connection.idleTimeout = 90_000
  const open = await view(app, `?id=${connection.id}`)
  for (const text of ['<dd>chat</dd>', '<dd>1 min 30 s</dd>', '<b>opened</b>', 'data-act="disconnect"']) assert.ok(open.includes(text), text)
  app.sockets.disconnect({ id: connection.id }, { by: 'ops', why: '<account> closed' })
  await client.closed
  await connection.closed
  const closed = await view(app, `?id=${connection.id}`)
  assert.match(closed, /<b>closing<\/b> disconnected, code 3003, by ops, because: &lt;account&gt; closed/)
  assert.match(closed, /<b>closed<\/b> cleanly, the peer sent 3003/)
  assert.doesNotMatch(closed, /data-act/)
})

// ——— acts

/** Headers of an act, as the script of the page and a browser send them. */
const OWN = { 'x-sockets-page': 'disconnect', origin: 'http://localhost:80', host: 'localhost:80' }

/** An app that lets the page act, with what the audit has heard. */
async function startWithActs (t: test.TestContext, options: PageOptions) {
  const app = await startWithPage(t, { unprotected: true, ...options })
  const audit: object[] = []
  app.sockets.on('audit', ({ at, ...act }) => { audit.push(act) })
  const act = async (payload: unknown, headers: Record<string, string | undefined> = OWN) => {
    const response = await app.inject({ method: 'POST', url: '/ops', payload: JSON.stringify(payload), headers: Object.fromEntries(Object.entries({ 'content-type': 'application/json', ...headers }).filter(([, value]) => value !== undefined)) })
    return [response.statusCode, (response.json() as { message: string }).message]
  }
  return { app, audit, act }
}

test('connections are closed by id and by owner, and the audit says who has done it, and why', async (t) => {
  const { app, audit, act } = await startWithActs(t, { actions: ['disconnect'], by: () => 'ops' })
  const clients = [await connect(t, app, '/chat/a?user=ada'), await connect(t, app, '/chat/a?user=ada'), await connect(t, app, '/chat/a?user=grace')] as const
  const [first] = app.sockets.list()
  assert.deepEqual(await act({ action: 'disconnect', target: { id: first!.id }, why: 'spam' }), [200, '1 closed.'])
  assert.equal((await clients[0].closed).code, 3003)
  assert.deepEqual(await act({ action: 'disconnect', target: { owner: 'ada' }, why: '' }), [200, '1 closed.'])
  await clients[1].closed
  assert.deepEqual(await act({ action: 'disconnect', target: { id: first!.id }, why: '' }), [200, 'There is no such connection any more.'])
  assert.equal(app.sockets.size, 1)
  assert.deepEqual(audit, [
    { action: 'disconnect', by: 'ops', why: 'spam', target: { id: first!.id }, outcome: 'done', connections: 1 },
    { action: 'disconnect', by: 'ops', target: { owner: 'ada' }, outcome: 'done', connections: 1 },
    { action: 'disconnect', by: 'ops', target: { id: first!.id }, outcome: 'done', connections: 0 }
  ])
})

test('the drain starts at once, and the option `by` says who has started it', async (t) => {
  const { app, audit, act } = await startWithActs(t, { actions: ['drain'], by: (request) => String(request.headers['x-user']) })
  const client = await connect(t, app, '/chat/a')
  assert.deepEqual(await act({ action: 'drain', why: 'a new kernel' }, { ...OWN, 'x-user': 'grace' }), [202, 'The drain has begun.'])
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(audit, [{ action: 'drain', by: 'grace', why: 'a new kernel', target: 'all', outcome: 'started', connections: 1 }])
})

test('without the option `by` the audit has no name, whatever a request claims', async (t) => {
  const { audit, act } = await startWithActs(t, { actions: ['disconnect'] })
  await act({ action: 'disconnect', target: { owner: 'ada' }, why: '' }, { ...OWN, authorization: `Basic ${Buffer.from('root:').toString('base64')}` })
  assert.deepEqual(audit, [{ action: 'disconnect', target: { owner: 'ada' }, outcome: 'done', connections: 0 }])
})

test('acts that are not allowed, or come from elsewhere, are refused, and the audit has them', async (t) => {
  const { app, audit, act } = await startWithActs(t, { actions: ['disconnect'], by: () => { throw new Error('by fails') } })
  await connect(t, app, '/chat/a?user=ada')
  const target = { owner: 'ada' }
  const refused = async (payload: object, headers: Record<string, string | undefined>) => {
    const [status] = await act({ why: '', ...payload }, headers)
    assert.equal(status, 403, JSON.stringify(headers))
    assert.equal((audit.pop() as { outcome: string }).outcome, 'refused')
    assert.equal(audit.length, 0)
  }
  await refused({ action: 'drain' }, OWN)
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: undefined },
    { 'x-sockets-page': undefined },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' }
  ]) await refused({ action: 'disconnect', target }, { ...OWN, ...headers })
  assert.equal(app.sockets.size, 1)
  assert.equal(app.sockets.state, 'running')
  // A proxy has replaced the host; the browser knows better.
  assert.deepEqual(await act({ action: 'disconnect', target, why: '' }, { ...OWN, host: 'internal:3000', 'sec-fetch-site': 'same-origin' }), [200, '1 closed.'])
})

test('what is no act does nothing', async (t) => {
  const { app, audit, act } = await startWithActs(t, { actions: ['disconnect', 'drain'] })
  await connect(t, app, '/chat/a?user=ada')
  for (const payload of [
    null, 'drain', [], {}, { action: 'drain' }, { action: 'restart', why: '' }, { action: 'disconnect', why: '' }, { action: 'disconnect', target: 'all', why: '' },
    { action: 'disconnect', target: {}, why: '' }, { action: 'disconnect', target: { id: '1' }, why: '' }, { action: 'disconnect', target: { tag: 'a' }, why: '' }, { action: 'drain', why: 1 }
  ]) assert.deepEqual(await act(payload), [400, 'This is not an act of the page.'], JSON.stringify(payload))
  // What a form of any page can send.
  for (const [type, status] of [['application/x-www-form-urlencoded', 415], ['text/plain', 403]] as const) {
    const { statusCode } = await app.inject({ method: 'POST', url: '/ops', payload: '{"action":"drain","why":""}', headers: { 'content-type': type } })
    assert.equal(statusCode, status)
  }
  assert.deepEqual([audit, app.sockets.size], [[], 1])
})

// ——— numbers

/** An open stream of numbers. */
async function openStream (app: TestApp) {
  const response = await new Promise<http.IncomingMessage>((resolve) => { http.get({ port: portOf(app), path: '/ops?part=live' }, resolve) })
  const messages: Array<{ texts: Record<string, string>, changes: number, held: string[][], end: boolean }> = []
  let ended = false
  response.setEncoding('utf8')
  response.on('data', (chunk: string) => { for (const [, data] of chunk.matchAll(/^data: (.*)\n\n/gm)) messages.push(JSON.parse(data!) as typeof messages[0]) })
  response.on('close', () => { ended = true })
  return { response, messages, ended: () => ended }
}

test('numbers are pushed while they change, and the stream ends with the drain', async (t) => {
  const app = await startWithPage(t)
  const { response, messages, ended } = await openStream(app)
  assert.equal(response.headers['content-type'], 'text/event-stream')
  assert.equal(response.headers['cache-control'], 'no-store')
  await until(() => messages.length === 1)
  assert.equal(messages[0]!.texts.connections, '0')
  await connect(t, app, '/chat/a')
  await until(() => messages.at(-1)!.texts.connections === '1')
  await app.sockets.drain()
  await until(ended)
  assert.equal(messages.at(-1)!.end, true)
  assert.equal(messages.at(-1)!.texts.state, 'drained')
  assert.equal((await app.inject('/ops?part=live')).statusCode, 204)
  assert.match(await view(app, '?view=drain'), /<h3>Report<\/h3>/)
})

/** A hook that holds requests until `release()`, and counts those whose browsers have left. */
function holdRequests () {
  let release!: () => void
  const held = new Promise<void>((resolve) => { release = resolve })
  const waiting = {
    left: 0,
    release,
    onRequest: async (_request: FastifyRequest, reply: FastifyReply) => {
      reply.raw.on('close', () => { waiting.left++ })
      await held
    }
  }
  return waiting
}

test('a page tells what has changed between its rows and its first numbers', async (t) => {
  const app = await startWithPage(t)
  const changesIn = async () => Number(/data-changes="(\d+)"/.exec(await view(app))![1])
  const before = await changesIn()
  await connect(t, app, '/chat/a')
  const { messages } = await openStream(app)
  await until(() => messages.length === 1)
  assert.equal(messages[0]!.changes, before + 1)
  assert.equal(await changesIn(), before + 1)
})

test('requests for the numbers whose browsers leave while a hook runs take no stream', async (t) => {
  const waiting = holdRequests()
  const app = await startWithPage(t, { onRequest: waiting.onRequest })
  const requests = Array.from({ length: 64 }, () => http.get({ port: portOf(app), path: '/ops?part=live' }).on('error', () => {}))
  await until(() => app.logs.filter(({ msg }) => msg === 'incoming request').length === 64)
  for (const request of requests) request.destroy()
  await until(() => waiting.left === 64)
  waiting.release()
  assert.equal((await openStream(app)).response.statusCode, 200)
})

test('neither do those of HTTP/2', async (t) => {
  const waiting = holdRequests()
  const app = await startWithPage(t, { onRequest: waiting.onRequest }, undefined, { http2: true })
  const session = http2.connect(`http://127.0.0.1:${portOf(app)}`)
  const ask = () => session.request({ ':path': '/ops?part=live' })
  const requests = Array.from({ length: 64 }, ask)
  await until(() => app.logs.filter(({ msg }) => msg === 'incoming request').length === 64)
  for (const request of requests) request.close(http2.constants.NGHTTP2_CANCEL)
  await until(() => waiting.left === 64)
  waiting.release()
  const [headers] = await once(ask(), 'response') as [http2.IncomingHttpHeaders & { ':status': number }]
  session.destroy()
  assert.equal(headers[':status'], 200)
})

test('open streams do not hold app.close(), with connections, without, and when their client does not read', async (t) => {
  for (const clients of [0, 2]) {
    const app = await startWithPage(t)
    const { response, ended } = await openStream(app)
    const silent = await openStream(app)
    silent.response.pause()
    for (let i = 0; i < clients; i++) await connect(t, app, '/chat/a')
    await app.close()
    await until(ended)
    assert.equal(response.complete, true)
  }
})

test('the drain view names the work that the drain waits for, and its stream does', async (t) => {
  let release!: () => void
  const app = await startWithPage(t, { unprotected: true }, (app) => {
    app.get('/work', { websocket: true }, (socket) => { void app.sockets.of(socket).track(new Promise<void>((resolve) => { release = resolve }), 'save <document>') })
  })
  await connect(t, app, '/work')
  const { messages } = await openStream(app)
  assert.match(await view(app, '?view=drain'), /<rect class="grace"/)
  const drained = app.sockets.drain()
  await until(() => messages.at(-1)?.held.length === 1)
  assert.equal(messages.at(-1)!.held[0]![1], 'save <document>')
  assert.match(await view(app, '?view=drain'), /<td>save &lt;document&gt;<\/td>/)
  await until(() => (app.sockets as ManagedTracker).holding[0]!.duration > 100)
  release()
  await drained
  assert.match(await view(app, '?view=drain'), /<dt>Held longest by<\/dt><dd><ul><li>#\d+ \/work: work save &lt;document&gt;, /)
})
