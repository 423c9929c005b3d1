/**
 * `isolation: false`: what listeners throw reaches the process, as with ws alone. And what reaches it in either case.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { forkFixture } from '../helpers/child.ts'
import { ended } from '../helpers/ends.ts'
import { turn } from '../helpers/records.ts'
import { connect, start, until } from '../helpers/server.ts'

/** What the fixture's process was told, in its mode. */
async function told (t: TestContext, mode: string): Promise<unknown> {
  const child = forkFixture(t, 'not-isolated', [mode])
  const message = await child.message()
  assert.deepEqual(await child.exited, { code: 0, signal: null })
  return message
}

for (const [mode, event] of [
  ['sync', 'uncaughtException'],
  ['error-event', 'uncaughtException'],
  ['message-rejection', 'unhandledRejection'],
  ['event-listener-rejection', 'unhandledRejection'],
  ['stream-rejection', 'unhandledRejection'],
  ['close-rejection', 'unhandledRejection']
] as const) {
  test(`without isolation the process gets it, as with ws alone: ${mode}`, async (t) => {
    assert.deepEqual(await told(t, mode), { event, text: 'boom' })
  })
}

for (const mode of ['abort-listener', 'abort-listener-rejection', 'onabort']) {
  test(`what listeners of an AbortSignal throw or reject with goes to the process, by Node itself, also with isolation: ${mode}`, async (t) => {
    assert.deepEqual(await told(t, mode), { event: 'uncaughtException', text: 'boom' })
  })
}

test('without isolation a promise of a listener is work all the same, and errors of handlers go where @fastify/websocket sends them', async (t) => {
  const app = await start(t, { isolation: false }, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', async () => {
        await turn()
        socket.send('done')
      })
    })
    app.get('/handler', { websocket: true }, async () => { throw new Error('handler') })
  })
  const client = await connect(t, app, '/')
  client.socket.send('go')
  await until(() => app.sockets.stats().working === 1 || client.unread.length > 0)
  assert.equal(await client.next(), 'done')
  const failing = await connect(t, app, '/handler')
  assert.equal((await ended(failing)).code, 1006)
})
