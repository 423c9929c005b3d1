/**
 * Stories of real sockets: which code has arrived, what was unsent, and how the connection ended.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { LifecycleOptions, Story } from '../../lib/index.ts'
import { deaf, fill, serve, stalled } from '../bound/slow-rig.ts'
import { rawConnect, start, until } from '../helpers/server.ts'
import type { RawClient, TestApp } from '../helpers/server.ts'

/** A server, a client that speaks frames, and what its story is when it has closed. */
async function setup (t: TestContext, options: LifecycleOptions = {}): Promise<{ app: TestApp, raw: RawClient, story: () => Promise<Story> }> {
  const app = await start(t, { closeTimeout: 200, ...options }, (app) => { app.get('/', { websocket: true }, () => {}) })
  const raw = await rawConnect(t, app, '/')
  const { id } = app.sockets.list()[0]!
  return {
    app,
    raw,
    story: async () => {
      await until(() => app.sockets.history.length === 1)
      return app.sockets.explain({ id })[0]!
    }
  }
}

/** A story without what differs from run to run. */
const plain = ({ summary, events }: Story) => ({ summary: summary.replace(/\d+ m?s\b/g, '…'), closed: { ...events.at(-1), at: 0 } })

for (const [what, act, summary, clean, receivedCode] of [
  ['answers with another code', async ({ app, raw }) => {
    app.sockets.disconnect('all', { code: 4003 })
    await raw.frame()
    raw.sendClose(4100)
  }, 'closed by disconnect() after … with 4003; its client answered with 4100', true, 4100],
  ['answers without a code', async ({ app, raw }) => {
    app.sockets.disconnect('all')
    await raw.frame()
    raw.sendClose()
  }, 'closed by disconnect() after … with 3003; its client answered with 1005', true, 1005],
  ['does not answer', ({ app }) => { app.sockets.disconnect('all') }, 'closed by disconnect() after … with 3003; its client did not answer', false, null],
  ['closes first', ({ raw }) => { raw.sendClose(4321) }, 'closed by its client after … with 4321', true, 4321],
  ['closes first, without a code', ({ raw }) => { raw.sendClose() }, 'closed by its client after … with 1005', true, 1005],
  ['vanishes', ({ raw }) => { raw.reset() }, 'lost without a close frame after …', false, null],
  ['breaks the protocol', ({ raw }) => { raw.send(3) }, 'closed because its client has broken the protocol after … with 1002; its client did not answer', false, null],
  ['is cut off by the application', ({ app }) => { void app.sockets.list()[0]!.terminate() }, 'closed by the application after … without a close frame', false, null]
] as Array<[string, (setup: { app: TestApp, raw: RawClient }) => unknown, string, boolean, number | null]>) {
  test(`a client that ${what}`, async (t) => {
    // A client that answers has the time that a busy machine needs.
    const { app, raw, story } = await setup(t, clean ? { closeTimeout: 100_000, drain: { timeout: 200_000 } } : {})
    await act({ app, raw })
    if (clean) raw.end()
    assert.deepEqual(plain(await story()), { summary, closed: { at: 0, what: 'closed', clean, receivedCode } })
  })
}

test('a client that does not answer pings', async (t) => {
  const { app, story } = await setup(t, { heartbeat: { interval: 100, maxMissed: 2 } })
  const { summary, events } = await story()
  assert.match(summary, /^closed by the heartbeat after \d+ m?s: no answer to a ping for \d+ m?s$/)
  assert.deepEqual(events.map(({ what }) => what), ['opened', 'ping unanswered', 'closing', 'closed'])
  assert.ok(app.sockets.history[0]!.unanswered >= 100)
})

test('a client that reads nothing: the bytes that waited', async (t) => {
  const app = await serve(t, { maxBufferedBytes: 64 * 1_024 * 1_024 })
  const { connection } = await deaf(t, app)
  fill(connection)
  await stalled(connection)
  const [waits] = app.sockets.explain({ id: connection.id })
  const waiting = waits!.events.at(-1)!
  assert.ok(waiting.what === 'data unsent' && waiting.bytes! > 0, JSON.stringify(waits))
  void connection.close(4000)
  await until(() => app.sockets.history.length === 1)
  const { unsent, clean } = app.sockets.history[0]!
  assert.deepEqual([unsent, clean], [waiting.bytes, false])
  assert.match(app.sockets.explain({ id: connection.id })[0]!.summary, new RegExp(`; ${unsent} bytes waited for it to read; its client did not answer$`))
})
