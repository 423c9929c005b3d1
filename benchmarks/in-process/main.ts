/**
 * Costs that are smaller than the noise of the network: messages and handshakes of a real server, without the kernel and
 * without the HTTP parser. Both apps run in this process and take turns of a fraction of a millisecond, so that every
 * disturbance affects both.
 *
 * Its program's first argument is the folder of the built library; the second, 'everything', turns on what is off by default.
 */
import { setImmediate as turn } from 'node:timers/promises'
import fastifyWebsocket from '@fastify/websocket'
import { answer } from '../rpc.ts'
import { EVERYTHING, optionsOf } from '../servers/features.ts'
import { loadPlugin } from '../servers/plugin.ts'
import { activeBeats } from './beats.ts'
import type { InProcessControl } from './control.ts'
import { compare } from './pairs.ts'
import { connect, deliver, HANDSHAKES, inUnits, makeApp, MESSAGES, open, TURNS, WARM_UP } from './turns.ts'

const plugin = await loadPlugin(process.argv[2]!)

const bare = await makeApp(async (app) => { await app.register(fastifyWebsocket) })
const ours = await makeApp(async (app) => { await app.register(plugin, optionsOf(process.argv[3] === 'everything' ? EVERYTHING : [])) })

answer<InProcessControl>({
  async messages (listener) {
    const [first, second] = [connect(bare, `/${listener}`), connect(ours, `/${listener}`)]
    await turn()
    const pair = await compare(TURNS, WARM_UP, () => deliver(first), () => deliver(second))
    for (const socket of [first, second]) socket.destroy()
    return inUnits(pair, 1e6 / MESSAGES)
  },
  async handshakes () {
    // A server usually has connections already; the first one starts timers that the others find running.
    const there = [connect(bare, '/sync'), connect(ours, '/sync')]
    const pair = await compare(TURNS, WARM_UP, () => open(bare), () => open(ours))
    for (const socket of there) socket.destroy()
    return inUnits(pair, 1e3 / HANDSHAKES)
  },
  activeBeats: () => activeBeats((options) => makeApp(async (app) => { await app.register(plugin, options) }))
})
