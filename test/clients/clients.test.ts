/**
 * What clients that are not `ws` see of a drain: a browser and Python. Skipped, with a word, where they are absent.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { browse, servePage } from '../helpers/browser.ts'
import type { Seen } from '../helpers/browser.ts'
import { run } from '../helpers/child.ts'
import { locate, missing } from '../helpers/optional.ts'
import { portOf, start, until } from '../helpers/server.ts'

test('a browser sees code, reason and a clean close', { skip: missing('chromium') }, async (t) => {
  let seen!: Promise<Seen>
  const app = await start(t, {}, (app) => { seen = servePage(app) })
  await browse(t, app)
  await until(() => app.sockets.size === 1)
  // A bare drain() goes on serving HTTP: the page can tell what it has seen.
  const { connections } = await app.sockets.drain()
  assert.equal(connections.clean, 1)
  assert.deepEqual(await seen, { code: 1012, reason: 'service restart; retry=1000', wasClean: true })
})

test('Python sees code and reason', { skip: missing('python3-websockets') }, async (t) => {
  const app = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(data) }) })
  })
  const client = run(t, locate('python3-websockets')!, ['-c', `
import asyncio, websockets
async def main():
    async with websockets.connect('ws://127.0.0.1:${portOf(app)}/') as socket:
        await socket.send('hello')
        print(await socket.recv(), flush=True)
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            print(closed.code, closed.reason, flush=True)
asyncio.run(main())
`])
  let output = ''
  client.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  await until(() => output.includes('hello'))
  const { connections } = await app.sockets.drain()
  assert.equal(connections.clean, 1)
  await until(() => output.includes('1012'))
  assert.match(output, /1012 service restart; retry=1000/)
})
