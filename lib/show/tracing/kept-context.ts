/**
 * The context of a handshake's span, kept on the socket of its connection: a string of 72 bytes in memory, half of what the object
 * takes.
 */
import { TraceFlags } from '@opentelemetry/api'
import type { SpanContext } from '@opentelemetry/api'
import { ownText } from '../../connection/facts.ts'
import type { ManagedConnection } from '../../connection/managed-connection.ts'
import { kTrace } from '../../connection/of-socket.ts'

/** The two ids, and the flags as a character. */
export type KeptContext = string & { readonly kept: unique symbol }

const TRACE_ID = 32
const BOTH_IDS = 48
/** Read once: the package has a getter for what holds it, and every message asks. */
const { SAMPLED } = TraceFlags

export function keep ({ socket }: ManagedConnection, { traceId, spanId, traceFlags }: SpanContext): void {
  // V8 would keep the parts of a string that was put together.
  const text = ownText(traceId + spanId + String.fromCharCode(traceFlags)) as KeptContext;
  (socket as { [kTrace]?: KeptContext })[kTrace] = text
}

/** Returns the context of a connection's handshake, if it was traced. */
export function keptOf ({ socket }: ManagedConnection): KeptContext | undefined { return (socket as { [kTrace]?: KeptContext })[kTrace] }

export function isSampled (kept: KeptContext): boolean { return (kept.charCodeAt(BOTH_IDS) & SAMPLED) !== 0 }

export function toContext (kept: KeptContext): SpanContext {
  return { traceId: kept.slice(0, TRACE_ID), spanId: kept.slice(TRACE_ID, BOTH_IDS), traceFlags: kept.charCodeAt(BOTH_IDS) }
}
