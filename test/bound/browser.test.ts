/**
 * A browser cannot see why a handshake was refused over HTTP; with `refusal: 'close'` it can.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { locate, missing } from '../helpers/optional.ts'
import { connect, portOf, start } from '../helpers/server.ts'

for (const [refusal, seen] of Object.entries({
  http: { code: 1006, reason: '', wasClean: false },
  close: { code: 1013, reason: 'no room; retry=1000', wasClean: true }
})) {
  test(`a browser that is refused with ${refusal} sees ${seen.code}; its own origin is no foreign one`, { skip: missing('chromium') }, async (t) => {
    let report!: (seen: unknown) => void
    const reported = new Promise((resolve) => { report = resolve })
    const app = await start(t, { refusal: refusal as 'http' | 'close', allowedOrigins: 'same-origin', limits: { total: { max: 1 } } }, (app) => {
      app.get('/socket', { websocket: true }, () => {})
      app.post('/report', (request) => {
        report(request.body)
        return 'thank you'
      })
      app.get('/', (_request, reply) => reply.type('text/html').send(`<!doctype html><script>
        new WebSocket('ws://' + location.host + '/socket').onclose = ({ code, reason, wasClean }) => fetch('/report', {
          method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code, reason, wasClean })
        })
      </script>`))
    })
    const reasons: string[] = []
    app.sockets.on('refused', ({ reason }) => { reasons.push(reason) })
    await connect(t, app, '/socket')
    const profile = await mkdtemp(join(tmpdir(), 'chromium-'))
    t.after(() => rm(profile, { recursive: true, force: true, maxRetries: 10 }))
    const browser = spawn(locate('chromium')!, [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--remote-debugging-port=0', `--user-data-dir=${profile}`,
      `http://127.0.0.1:${portOf(app)}/`
    ], { stdio: 'ignore' })
    const ended = once(browser, 'exit')
    t.after(async () => {
      browser.kill('SIGKILL')
      await ended
    })
    assert.deepEqual(await reported, seen)
    assert.deepEqual(reasons, ['total'])
  })
}
