/**
 * The entry point `fastify-websocket-lifecycle/tracing`. scripts/build.js turns the default export into `module.exports`.
 */
import { plugin } from './plugin.ts'

/** The plugin: `app.register(tracing)` traces handshakes, messages, closes and the drain with OpenTelemetry. */
const tracing: typeof plugin = plugin

export default tracing
export type { TracingOptions } from './plugin.ts'
