/**
 * This plugin with its defaults. The first argument is the folder of the built library.
 */
import { startFastify } from './fastify-server.ts'
import { optionsOf } from './features.ts'
import { loadPlugin } from './plugin.ts'
import { serve } from './serve.ts'

const plugin = await loadPlugin(process.argv[2]!)

serve((options) => startFastify(options, async (app) => {
  await app.register(plugin, {
    ...optionsOf(options.features ?? []),
    ...(options.heartbeat === undefined ? {} : { heartbeat: options.heartbeat === false ? false : { interval: options.heartbeat } }),
    // Long enough for any number of connections. Without turns: what is measured is how fast connections can be closed.
    drain: { timeout: 120_000, spread: false }
  })
}, (app, text) => app.sockets.broadcast(text, 'all')))
