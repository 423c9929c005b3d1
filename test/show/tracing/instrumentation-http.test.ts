/** Tracing beside @opentelemetry/instrumentation-http. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import test, { after, before, suite } from 'node:test'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'
import tracing from '../../../lib/show/tracing/index.ts'
import { portOf, start, until } from '../../helpers/server.ts'
import { recordSpans } from '../../helpers/spans.ts'
import { testLifecycle } from './lifecycle.ts'

const spans = recordSpans()

suite('with instrumentation-http', () => {
  // The clients of the tests are in this process.
  const instrumentation = new HttpInstrumentation({ enabled: false, disableOutgoingRequestInstrumentation: true })
  before(() => {
    instrumentation.enable()
    // It replaces a method of http.Server when the module is asked for.
    createRequire(import.meta.url)('node:http')
  })
  after(() => { instrumentation.disable() })

  testLifecycle(spans, { name: 'with instrumentation-http', others: [], handler: 'websocket.handshake' })

  test('it traces requests, and no handshakes', async (t) => {
    spans.reset()
    const app = await start(t, {}, async (app) => {
      await app.register(tracing)
      app.get('/', async () => 'answer')
    })
    assert.equal(await (await fetch(`http://127.0.0.1:${portOf(app)}/`)).text(), 'answer')
    await until(() => spans.named('GET').length === 1)
    assert.deepEqual(spans.named('websocket.handshake'), [])
  })
})
