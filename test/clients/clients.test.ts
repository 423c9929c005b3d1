/**
 * What clients that are not `ws` see of a drain: a browser and Python. Skipped, with a word, where they are absent.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { locate, missing } from '../helpers/optional.ts'
import { portOf, start, until } from '../helpers/server.ts'

/** Starts a program that ends with the test. */
function run (t: TestContext, command: string, args: string[]) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return child
}

test('a browser sees code, reason and a clean close', { skip: missing('chromium') }, async (t) => {
  let report!: (seen: unknown) => void
  const reported = new Promise((resolve) => { report = resolve })
  const app = await start(t, {}, (app) => {
    app.get('/socket', { websocket: true }, () => {})
    app.post('/report', (request) => {
      report(request.body)
      return 'thank you'
    })
    // A bare drain() goes on serving HTTP: the page can tell what it has seen.
    app.get('/', (_request, reply) => reply.type('text/html').send(`<!doctype html><script>
      new WebSocket('ws://' + location.host + '/socket').onclose = ({ code, reason, wasClean }) => fetch('/report', {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code, reason, wasClean })
      })
    </script>`))
  })
  const profile = await mkdtemp(join(tmpdir(), 'chromium-'))
  t.after(() => rm(profile, { recursive: true, force: true, maxRetries: 10 }))
  run(t, locate('chromium')!, [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--remote-debugging-port=0', `--user-data-dir=${profile}`,
    `http://127.0.0.1:${portOf(app)}/`
  ])
  await until(() => app.sockets.size === 1)
  const { connections } = await app.sockets.drain()
  assert.equal(connections.clean, 1)
  assert.deepEqual(await reported, { code: 1012, reason: 'service restart; retry=1000', wasClean: true })
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
