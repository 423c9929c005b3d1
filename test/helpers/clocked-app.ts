/**
 * An application on a clock that the test moves.
 */
import type { TestContext } from 'node:test'
import type { LifecycleOptions, RouteSocketOptions } from '../../lib/index.ts'
import { createClock } from '../../lib/testing/clock.ts'
import type { TestClock } from '../../lib/testing/clock.ts'
import { start } from './server.ts'
import type { TestApp } from './server.ts'

/** An application with an echo at `/`, and at the paths in `routes` with their `config.sockets`. */
export async function startClocked (t: TestContext, options: LifecycleOptions = {}, routes: Record<string, RouteSocketOptions> = {}): Promise<{ app: TestApp, clock: TestClock }> {
  const clock = createClock()
  const app = await start(t, { ...options, clock }, (app) => {
    for (const [path, sockets] of Object.entries({ '/': {}, ...routes })) {
      app.get(path, { websocket: true, config: { sockets } }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
    }
  })
  return { app, clock }
}
