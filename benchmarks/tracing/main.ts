/**
 * The cost of `fastify-websocket-lifecycle/tracing`: two apps with the plugin, one of them traced, in this process and in turns. There
 * are two such pairs: the app that is made later is slower by some nanoseconds a message, and is the traced one in one of them.
 *
 * Its program's first argument is the folder of the built library; of the second, 'sampled' samples every trace, and 'control' traces no
 * app: what is measured then is the error of all this.
 */
import type { Socket } from 'node:net'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { AlwaysOffSampler, AlwaysOnSampler, BasicTracerProvider, NoopSpanProcessor, ParentBasedSampler } from '@opentelemetry/sdk-trace-base'
import type tracingPlugin from '../../lib/show/tracing/index.ts'
import { heapUsed } from '../../test/performance/heap.ts'
import { handshake, upgrade } from '../in-process/memory-socket.ts'
import { compare } from '../in-process/pairs.ts'
import type { Pair } from '../in-process/pairs.ts'
import { connect, deliver, HANDSHAKES, inUnits, makeApp, MESSAGES, open, TURNS, WARM_UP } from '../in-process/turns.ts'
import { answer } from '../rpc.ts'
import { loadPlugin } from '../servers/plugin.ts'

const CONNECTIONS = 10_000

/** In pairs the app without tracing comes first. */
export interface TracingControl {
  /** Nanoseconds per message that is delivered to a sync listener. */
  messages (): Promise<Pair>
  /** Microseconds per handshake. */
  handshakes (): Promise<Pair>
  /** Bytes of heap that tracing adds to a connection. */
  heap (): Promise<number>
}

const [folder, kind] = process.argv.slice(2)
const sampler = new ParentBasedSampler({ root: kind === 'sampled' ? new AlwaysOnSampler() : new AlwaysOffSampler() })
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
trace.setGlobalTracerProvider(new BasicTracerProvider({ sampler, spanProcessors: [new NoopSpanProcessor()] }))

const sockets = await loadPlugin(folder!)
const { default: tracing } = await import(pathToFileURL(join(folder!, 'show/tracing/index.js')).href) as { default: typeof tracingPlugin }
const makePlain = () => makeApp(async (app) => { await app.register(sockets) })
const makeTraced = () => makeApp(async (app) => {
  await app.register(sockets)
  if (kind !== 'control') await app.register(tracing)
})
const [plain, traced, laterTraced, laterPlain] = [await makePlain(), await makeTraced(), await makeTraced(), await makePlain()]
const pairs = [[plain, traced], [laterPlain, laterTraced]] as const

answer<TracingControl>({
  async messages () {
    // Connections are made in the order of their apps.
    const [a, b, c, d] = [plain, traced, laterTraced, laterPlain].map((app) => connect(app, '/sync')) as [Socket, Socket, Socket, Socket]
    const measured = [
      await compare(TURNS, WARM_UP, () => deliver(a), () => deliver(b)),
      await compare(TURNS, WARM_UP, () => deliver(d), () => deliver(c))
    ]
    for (const socket of [a, b, c, d]) socket.destroy()
    return inUnits(meanOf(measured), 1e6 / MESSAGES)
  },
  async handshakes () {
    const there = pairs.flat().map((app) => connect(app, '/sync'))
    const measured: Pair[] = []
    for (const [first, second] of pairs) measured.push(await compare(TURNS, WARM_UP, () => open(first), () => open(second)))
    for (const socket of there) socket.destroy()
    return inUnits(meanOf(measured), 1e3 / HANDSHAKES)
  },
  async heap () { return await heapOf(traced) - await heapOf(plain) }
})

function meanOf (measured: readonly Pair[]): Pair {
  const mean = (key: keyof Pair) => measured.reduce((sum, pair) => sum + pair[key], 0) / measured.length
  return { first: mean('first'), second: mean('second'), added: mean('added') }
}

async function heapOf (app: typeof plain): Promise<number> {
  const before = await heapUsed()
  const openings = Array.from({ length: CONNECTIONS }, () => handshake('/sync'))
  for (const opening of openings) upgrade(app.server, opening)
  const bytes = await heapUsed() - before
  for (const { socket } of openings) socket.destroy()
  while (app.websocketServer.clients.size > 0) await new Promise((resolve) => { setImmediate(resolve) })
  return bytes / CONNECTIONS
}
