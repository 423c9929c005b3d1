/**
 * Connections at work, which a drain waits for.
 */
import { deferred } from '../../lib/base/deferred.ts'
import type { TestClient } from '../../lib/testing/connect.ts'
import { nextEvent } from './records.ts'
import { connect, until } from './server.ts'
import type { TestApp } from './server.ts'

/** A client whose connection has work in flight until `finish`. */
export async function connectBusy (t: Parameters<typeof connect>[0], app: TestApp): Promise<{ client: TestClient, finish: () => void }> {
  const { promise, resolve: finish } = deferred<void>()
  const opened = nextEvent(app, 'open')
  const client = await connect(t, app, '/')
  const [connection] = await opened
  void connection.track(promise)
  return { client, finish }
}

/** Sends `job` to a handler that works on it, and returns once it does. */
export async function sendJob (app: TestApp, client: TestClient): Promise<void> {
  client.send('job')
  await until(() => app.sockets.stats().working === 1)
}
