/**
 * The page as a Fastify plugin: one address, of which every part and every view is a query. So its links and requests are right
 * behind every prefix and proxy, with and without a slash at its end.
 *
 * What a client of a WebSocket has chosen reaches the page as text only: html.ts escapes it, and the script uses `textContent`.
 */
import type { Http2Stream } from 'node:http2'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ManagedTracker } from '../../track/managed-tracker.ts'
import type { DrainProgress, DrainReport } from '../../track/drain-report.ts'
import { act } from './acts.ts'
import { assets } from './assets.ts'
import { document } from './layout.ts'
import type { View } from './layout.ts'
import type { Site } from './site.ts'
import { LiveStreams } from './live.ts'
import { messageOf } from './numbers.ts'
import { resolvePageOptions } from './options.ts'
import type { PageOptions } from './options.ts'
import { connectionView } from './views/connection.ts'
import { connectionsView } from './views/connections.ts'
import { drainView } from './views/drain.ts'
import { fleetView } from './views/fleet.ts'
import { historyView } from './views/history.ts'
import { nodesView } from './views/nodes.ts'
import { remoteView } from './views/remote.ts'
import { routesView } from './views/routes.ts'

/** Headers of every answer. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  // Not 'no-referrer': with it, forms send `Origin: null`.
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff'
}

/** Longest body of a request, bytes. */
const MAX_BODY = 4_096

async function registerPage (app: FastifyInstance, given: PageOptions): Promise<void> {
  const options = resolvePageOptions(given)
  const tracker = app.sockets as ManagedTracker
  // Without the option, to read `fleet` would make one.
  const site: Site = { tracker, fleet: tracker.stats().fleet && tracker.fleet, actions: options.actions }
  let progress: DrainProgress | null = null
  let report: DrainReport | null = null
  const live = new LiveStreams(tracker.clock, () => messageOf(site, progress))

  tracker.on('progress', (event) => {
    progress = event
    live.update()
  })
  tracker.on('drained', (event) => {
    report = event
    live.end()
  })
  // An application without WebSockets closes without a drain.
  app.addHook('preClose', (done) => {
    if (tracker.state !== 'draining') live.end()
    done()
  })

  for (const hook of options.onRequest) app.addHook('onRequest', hook)
  for (const hook of options.preHandler) app.addHook('preHandler', hook)
  // Without a HEAD route: the stream of numbers would have no end for it.
  app.get('/', { exposeHeadRoute: false }, async (request, reply) => {
    void reply.headers(HEADERS)
    const query = new URLSearchParams(request.url.split('?', 2)[1])
    const part = query.get('part')
    if (part === 'live') return openStream(reply)
    if (part === 'script' || part === 'style') return reply.type(assets[part].type).send(assets[part].text())
    const name = query.get('view') ?? ''
    return reply.type('text/html; charset=utf-8').send(document(site, name, await viewOf(name, query)))
  })

  // In a hook, behind those that authenticate: Fastify answers a body that it cannot read.
  const onRequest = async (_request: FastifyRequest, reply: FastifyReply) => { void reply.headers(HEADERS) }
  app.post('/', { bodyLimit: MAX_BODY, onRequest }, async (request, reply) => {
    const { status, message } = await act(site, request, options.by)
    return reply.code(status).send({ message })
  })

  function viewOf (name: string, query: URLSearchParams): View | Promise<View> {
    if (name === 'history') return historyView(site, query)
    if (name === 'routes') return routesView(site, query)
    if (name === 'drain') return drainView(site, progress, report)
    const { fleet } = site
    if (fleet !== null && name === 'nodes') return nodesView({ ...site, fleet }, query)
    if (fleet !== null && name === 'fleet') return fleetView({ ...site, fleet }, query)
    const id = query.get('id')
    if (id === null) return connectionsView(site, query)
    const node = query.get('node') ?? ''
    return fleet === null || node === '' || node === fleet.node ? connectionView(site, Number(id)) : remoteView({ ...site, fleet }, node, Number(id))
  }

  function openStream (reply: FastifyReply): FastifyReply {
    // 204 tells an EventSource not to come back.
    if (tracker.state === 'drained') return reply.code(204).send()
    const { raw } = reply
    // The browser has left while a hook ran: 'close' comes no more. Responses of HTTP/2 know it only of their stream.
    if (raw.destroyed || (raw as { stream?: Http2Stream }).stream?.destroyed === true) return reply.hijack()
    if (live.full) return reply.code(503).send()
    reply.hijack()
    raw.writeHead(200, { ...reply.getHeaders() as Record<string, string>, 'content-type': 'text/event-stream', ...raw.req.httpVersionMajor === 1 && { connection: 'close' } })
    live.add(raw)
    return reply
  }
}

/** The plugin. It has a context of its own: `prefix` and its hooks are those of the page alone. */
export const page = fp(registerPage, {
  fastify: '5.x || 6.x',
  name: 'fastify-websocket-lifecycle/page',
  dependencies: ['fastify-websocket-lifecycle'],
  encapsulate: true
})
