/**
 * The page of `npm start` in a browser: its counter goes on across a restart of the server, and across its end by SIGKILL.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { openPage } from '../helpers/browser.ts'
import type { Page } from '../helpers/browser.ts'
import { startExample } from '../helpers/example.ts'
import { freePort } from '../helpers/free-port.ts'
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
  const port = await freePort()
  await startExample(t, 'start.ts', { PORT: String(port) }, /Listening/)
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
