/**
 * What the plugin adds to opening and closing a server, as test suites do hundreds of times: 200 apps, each with a
 * route, listening, with one WebSocket client and without; ours and bare @fastify/websocket in turn.
 *
 * `npm run bench:open-close` prints one JSON line a case: median milliseconds an app, and the ratio.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import { WebSocket } from 'ws'
import sockets from '../lib/index.ts'

const APPS = 200
const ROUNDS = 5

for (const withClient of [false, true]) {
  const bare: number[] = []
  const ours: number[] = []
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    const times = [await measure('bare', withClient), await measure('ours', withClient)]
    if (round === 0) continue
    bare.push(times[0]!)
    ours.push(times[1]!)
  }
  const [b, o] = [median(bare), median(ours)]
  console.log(JSON.stringify({
    case: withClient ? 'open, one client, close' : 'open, close',
    apps: APPS,
    rounds: ROUNDS,
    bare: `${b.toFixed(2)} ms an app`,
    ours: `${o.toFixed(2)} ms an app`,
    ratio: Number((o / b).toFixed(2)),
    node: process.version
  }))
}

/** Milliseconds an app. */
async function measure (kind: 'bare' | 'ours', withClient: boolean): Promise<number> {
  const started = performance.now()
  for (let i = 0; i < APPS; i++) {
    const app = Fastify()
    if (kind === 'bare') await app.register(fastifyWebsocket)
    else await app.register(sockets)
    app.get('/', { websocket: true }, () => {})
    await app.listen({ port: 0, host: '127.0.0.1' })
    if (withClient) {
      const client = new WebSocket(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/`)
      await once(client, 'open')
      const closed = once(client, 'close')
      await app.close()
      await closed
    } else {
      await app.close()
    }
  }
  return (performance.now() - started) / APPS
}

function median (values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}
