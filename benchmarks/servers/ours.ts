/**
 * This plugin with everything on that is on by default. Its program's first argument is the folder of the built library.
 */
import type { LifecycleOptions } from '../../lib/index.ts'
import type { Feature } from './control.ts'
import { startFastify } from './fastify-server.ts'
import { loadPlugin } from './plugin.ts'
import { serve } from './serve.ts'

/** Longer than any benchmark takes, milliseconds; more than there are of anything. */
const LONG = 3_600_000
const MANY = 1_000_000

const FEATURES: Record<Feature, LifecycleOptions> = {
  idleTimeout: { idleTimeout: LONG },
  maxLifetime: { maxLifetime: LONG },
  limits: { limits: { total: { max: MANY }, perAddress: { max: MANY }, handshakes: { max: MANY } } },
  // Everyone is an owner of his own.
  owner: { owner: ({ headers }) => headers['sec-websocket-key'], limits: { perOwner: { max: MANY } } },
  rates: { messageRate: { max: MANY }, backpressure: { maxBufferedBytes: MANY } }
}

/** All of them together. */
function optionsOf (features: Feature[]): LifecycleOptions {
  const all = features.map((feature) => FEATURES[feature])
  return { ...Object.assign({}, ...all) as LifecycleOptions, limits: Object.assign({}, ...all.map(({ limits }) => limits)) as object }
}

const plugin = await loadPlugin(process.argv[2]!)

serve((options) => startFastify(options, async (app) => {
  await app.register(plugin, {
    ...optionsOf(options.features ?? []),
    ...(options.heartbeat === undefined ? {} : { heartbeat: options.heartbeat === false ? false : { interval: options.heartbeat } }),
    // Long enough for any number of connections; the rest is as it is by default, which is: no spread.
    drain: { timeout: 120_000 }
  })
}, (app, text) => app.sockets.broadcast(text, 'all')))
