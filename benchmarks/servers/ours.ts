/**
 * This plugin with its defaults. The first argument is the folder of the built library.
 */
import type { Registry } from 'prom-client'
import { startFastify } from './fastify-server.ts'
import { optionsOf } from './features.ts'
import { loadMetrics, loadPlugin } from './plugin.ts'
import { serve } from './serve.ts'

const plugin = await loadPlugin(process.argv[2]!)
/** The registry of the metrics, where they are on. */
let register: Registry | null = null

serve(async (options) => {
  const server = await startFastify(options, async (app) => {
    await app.register(plugin, {
      ...optionsOf(options.features ?? []),
      ...(options.heartbeat === undefined ? {} : { heartbeat: options.heartbeat === false ? false : { interval: options.heartbeat } }),
      // Long enough for any number of connections. Without turns: what is measured is how fast connections can be closed.
      drain: { timeout: 120_000, spread: false }
    })
    if (options.metrics !== true) return
    const client = await import('prom-client')
    register = new client.Registry()
    await app.register(await loadMetrics(process.argv[2]!), { register })
  }, (app, text) => app.sockets.broadcast(text, 'all'))
  return { ...server, scrape: () => register!.metrics() }
})
