/**
 * `npm run bench:page`: the page of a server with 18,500 connections. For each view: the time until its first rows are there, and the
 * longest stall of the event loop meanwhile, apart from garbage collection. One JSON line a view.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import type page from '../../lib/show/page/index.ts'
import { handshake, upgrade } from '../in-process/memory-socket.ts'
import { libraryFolder } from '../library.ts'
import { thisMachine } from '../machine.ts'
import { loadPlugin } from '../servers/plugin.ts'
import { StallProbe } from '../servers/stall-probe.ts'
import { median } from '../statistics.ts'

const CONNECTIONS = 18_500
const ROUNDS = 20
/** Rounds that are discarded, in which the code is compiled. */
const WARM_UP = 5

const VIEWS = {
  'newest first': '',
  'by owner': '?sort=owner',
  'search without a match': '?q=nothing-has-this',
  'search by tag, by messages': '?q=room-77&sort=messages',
  'in the middle': '?sort=owner&after=9000:=user-5000',
  history: '?view=history',
  'history by cause': '?view=history&cause=network&sort=duration',
  drain: '?view=drain',
  routes: '?view=routes'
}

const folder = libraryFolder()
const plugin = await loadPlugin(folder)
const { default: pagePlugin } = await import(pathToFileURL(join(folder, 'show/page/index.js')).href) as { default: typeof page }

const app = Fastify()
await app.register(plugin, { owner: (request) => (request.query as { user: string }).user, history: CONNECTIONS })
app.get('/chat', { websocket: true }, (socket, request) => { app.sockets.of(socket).tag(`room-${(request.query as { room: string }).room}`) })
await app.register(pagePlugin, { prefix: '/ops', unprotected: true })
await app.ready()
await open(CONNECTIONS)
// A full history, too.
for (const connection of app.sockets.list()) void connection.terminate()
while (app.sockets.size > 0) await sleep(10)
await open(CONNECTIONS)

for (const [view, query] of Object.entries(VIEWS)) {
  const times: number[] = []
  let stall = 0
  let own = 0
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const probe = new StallProbe()
    const startedAt = performance.now()
    const { statusCode } = await app.inject(`/ops${query}`)
    const time = performance.now() - startedAt
    const stalls = await probe.end()
    if (statusCode !== 200) throw new Error(`${view}: ${statusCode}`)
    if (round < WARM_UP) continue
    times.push(time)
    stall = Math.max(stall, stalls.apart)
    own = Math.max(own, stalls.own)
  }
  console.log(JSON.stringify({ view, connections: CONNECTIONS, median: round(median(times)), longest: round(Math.max(...times)), stall: round(stall), stallOfThisThread: round(own), ...thisMachine() }))
}
process.exit()

async function open (count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    upgrade(app.server, handshake(`/chat?user=user-${i * 7919 % count}&room=${i % 500}`))
    if (i % 500 === 0) await sleep(1)
  }
  while (app.sockets.size < count) await sleep(10)
}

function round (milliseconds: number): number { return Math.round(milliseconds * 10) / 10 }
