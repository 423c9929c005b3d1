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
    // Long enough for any number of connections; the other drain options are the defaults, so there is no spread.
    drain: { timeout: 120_000 }
  })
}, (app, text) => app.sockets.broadcast(text, 'all')))
