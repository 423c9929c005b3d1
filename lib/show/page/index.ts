/**
 * `fastify-websocket-lifecycle/page`: a page that shows the connections of a server, and may end them.
 */
import { page as plugin } from './page.ts'

/** The plugin: `app.register(page, { prefix, onRequest, actions })` adds the page; `app.sockets` must be there. */
const page: typeof plugin = plugin

export default page
export type { PageAction, PageOptions } from './options.ts'
