/**
 * The span of a drain, `websocket.drain`: from its start to its report.
 */
import { ROOT_CONTEXT } from '@opentelemetry/api'
import type { Span } from '@opentelemetry/api'
import type { Tracker } from '../../track/tracker.ts'
import { endSpan, startSpan } from './spans.ts'

/** Traces the drain of a tracker. */
export function traceDrain (tracker: Tracker): void {
  let span: Span | undefined
  tracker.on('drain', ({ trigger, timeout, connections }) => {
    span = startSpan('websocket.drain', { root: true, attributes: { 'websocket.drain.trigger': trigger, 'websocket.drain.timeout': timeout, 'websocket.drain.connections': connections } }, ROOT_CONTEXT)
  })
  tracker.on('drained', ({ aborted, connections }) => {
    if (span === undefined) return
    endSpan(span, {
      'websocket.drain.aborted': aborted,
      'websocket.drain.connections': connections.total,
      'websocket.drain.clean': connections.clean,
      'websocket.drain.terminated': connections.terminated,
      'websocket.drain.unfinished': connections.unfinished
    })
    span = undefined
  })
}
