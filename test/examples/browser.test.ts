/**
 * The page of `npm start` in a browser: its counter goes on across a restart of the server, and across its end by SIGKILL.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { openPage } from '../helpers/browser.ts'
import type { Page } from '../helpers/browser.ts'
import { missing } from '../helpers/optional.ts'

/** What the page shows. */
interface Shown { count: number, server: number, servers: number, missed: number, closes: number }

/** Resolves with what the page shows, as soon as the condition holds for that. */
async function shown (page: Page, condition: string): Promise<Shown> {
  return await page.evaluate(`new Promise((resolve) => {
    const timer = setInterval(() => {
      const shown = Object.fromEntries(['count', 'server', 'servers', 'missed', 'closes'].map((id) => [id, Number(document.getElementById(id).textContent)]))
      if (!(({ count, server, servers, closes }) => ${condition})(shown)) return
      clearInterval(timer)
      resolve(shown)
    }, 20)
  })`)
}

/** Starts the example on a port of its own, and opens the page. */
async function start (t: TestContext): Promise<Page> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const child = spawn(process.execPath, ['--import', './scripts/typescript.js', 'examples/start.ts'], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exited = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await exited
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  while (!output.includes('Listening')) await once(child.stdout, 'data')
  return await openPage(t, `http://localhost:${port}`)
}

test('a counter in a browser goes on across restarts, without a close and without a gap', { skip: missing('chromium') }, async (t) => {
  const page = await start(t)
  for (let servers = 1; servers <= 3; servers++) {
    const before = await shown(page, `servers === ${servers} && count > ${servers * 10}`)
    await page.evaluate("document.getElementById('restart').click()")
    const after = await shown(page, `servers === ${servers + 1} && count > ${before.count + 10}`)
    assert.notEqual(after.server, before.server)
    assert.deepEqual([after.missed, after.closes], [0, 0])
  }
})

test('the counter goes on where it was when the server is killed, after a close', { skip: missing('chromium') }, async (t) => {
  const page = await start(t)
  const before = await shown(page, 'count > 10')
  process.kill(before.server, 'SIGKILL')
  const after = await shown(page, `servers === 2 && count > ${before.count + 10}`)
  assert.equal(after.missed, 0)
  assert.ok(after.closes > 0)
})
