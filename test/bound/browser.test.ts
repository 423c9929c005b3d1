/**
 * A browser cannot see why a handshake was refused over HTTP; with `refusal: 'close'` it can.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { browse, servePage } from '../helpers/browser.ts'
import type { Seen } from '../helpers/browser.ts'
import { missing } from '../helpers/optional.ts'
import { connect, start } from '../helpers/server.ts'

for (const [refusal, expected] of Object.entries({
  http: { code: 1006, reason: '', wasClean: false },
  close: { code: 1013, reason: 'no room; retry=1000', wasClean: true }
})) {
  test(`a browser that is refused with ${refusal} sees ${expected.code}; its own origin is no foreign one`, { skip: missing('chromium') }, async (t) => {
    let seen!: Promise<Seen>
    const app = await start(t, { refusal: refusal as 'http' | 'close', allowedOrigins: 'same-origin', limits: { total: { max: 1 } } }, (app) => { seen = servePage(app) })
    const reasons: string[] = []
    app.sockets.on('refused', ({ reason }) => { reasons.push(reason) })
    await connect(t, app, '/socket')
    await browse(t, app)
    assert.deepEqual(await seen, expected)
    assert.deepEqual(reasons, ['total'])
  })
}
