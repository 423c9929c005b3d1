/** Tracing without other instrumentations. */
import { recordSpans } from '../../helpers/spans.ts'
import { testLifecycle } from './lifecycle.ts'

testLifecycle(recordSpans(), { name: 'alone', others: [], handler: 'websocket.handshake' })
