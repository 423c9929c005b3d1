/**
 * A real browser on a page of an app of ours: what it sees when its WebSocket ends.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { run } from './child.ts'
import { locate } from './optional.ts'
import { portOf } from './server.ts'
import type { TestApp } from './server.ts'

/** What the page's CloseEvent says. */
export interface Seen { code: number, reason: string, wasClean: boolean }

/** Routes for `browse`: a page at '/' that opens a WebSocket to '/socket' and tells how it ended; resolves with that. */
export function servePage (app: TestApp): Promise<Seen> {
  return new Promise((resolve) => {
    app.get('/socket', { websocket: true }, () => {})
    app.post('/report', (request) => {
      resolve(request.body as Seen)
      return 'thank you'
    })
    app.get('/', (_request, reply) => reply.type('text/html').send(`<!doctype html><script>
      new WebSocket('ws://' + location.host + '/socket').onclose = ({ code, reason, wasClean }) => fetch('/report', {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code, reason, wasClean })
      })
    </script>`))
  })
}

/** Opens the page in Chromium, which ends with the test. */
export async function browse (t: TestContext, app: TestApp): Promise<void> {
  const profile = await mkdtemp(join(tmpdir(), 'chromium-'))
  t.after(() => rm(profile, { recursive: true, force: true, maxRetries: 10 }))
  run(t, locate('chromium')!, [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--remote-debugging-port=0', `--user-data-dir=${profile}`,
    `http://127.0.0.1:${portOf(app)}/`
  ])
}
