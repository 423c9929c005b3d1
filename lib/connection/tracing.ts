/**
 * The seam for tracing: code of a connection is called through it. lib/show/tracing implements it for OpenTelemetry. Other tools
 * subscribe to the TracingChannel `fastify-websocket-lifecycle:receive`, which traces each call of a listener for messages.
 *
 * Every message asks for its trace: without tracing and without subscribers that is all it costs.
 */
import { tracingChannel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { isThenable, toPromise } from '../base/guard.ts'

/** Identity of a span, as OpenTelemetry's `SpanContext` (W3C Trace Context §3.2). */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string
  /** 16 hexadecimal digits. */
  spanId: string
  /** 1 if the trace is sampled, else 0. */
  traceFlags: number
}

/** The trace of one message. */
export interface MessageTrace {
  /** Calls a listener. Returns what it has returned, a foreign thenable as a promise; the trace lasts until that has settled. */
  call (listener: Function, socket: object, args: unknown[]): unknown
  /** All listeners were called, or `messages()` is asked for the next message. */
  end (): void
}

/** The trace of one handshake. Either `opened` or `ended` is called last. */
export interface HandshakeTrace<C> {
  /** Takes a step of the handshake. */
  run (step: () => void): void
  /** The request has reached Fastify. */
  routed (request: FastifyRequest): void
  /** The handshake is about to be refused. */
  refused (reason: string): void
  /** The socket has opened. */
  opened (connection: C): void
  /** There is no socket; `status`: that of the answer, if there was one. */
  ended (status: number | undefined): void
}

export interface Tracing<C> {
  /** The span of the handshake. */
  contextOf (connection: C): TraceContext | undefined
  /** A handshake has begun. Returns null if it is not traced. */
  handshake (request: IncomingMessage): HandshakeTrace<C> | null
  /** Calls the handler of the route. */
  callHandler (connection: C, call: () => unknown): unknown
  /** A message is about to be delivered to listeners. Returns null if it is not traced. */
  message (connection: C, size: number, isBinary: boolean): MessageTrace | null
  /** The same for a message that `messages()` hands out. */
  consumed (connection: C, size: number, isBinary: boolean): MessageTrace | null
  /** Calls code of the application that runs because the connection ends. */
  callAtEnd<T> (connection: C, call: () => T): T
}

/** What subscribers get; the same object for all events of one call. */
interface Received {
  readonly connection: unknown
  readonly data: unknown
  readonly isBinary: boolean
  error?: unknown
}

const receive = tracingChannel<Received>('fastify-websocket-lifecycle:receive')

/** Returns the trace of a message for listeners; null if it is not traced. */
export function traceMessage<C extends { readonly host: { readonly tracing: Tracing<C> | null } }> (connection: C, data: { readonly length?: number }, isBinary: boolean): MessageTrace | null {
  const { tracing } = connection.host
  // A message as ArrayBuffer or Blob, with another `binaryType`, has no length.
  const trace = tracing === null ? null : tracing.message(connection, data.length ?? 0, isBinary)
  return receive.hasSubscribers ? new ChannelTrace({ connection, data, isBinary }, trace) : trace
}

/** Publishes the calls of listeners, each inside of the trace of its message, if there is one. */
class ChannelTrace implements MessageTrace {
  readonly #received: Received
  readonly #inner: MessageTrace | null

  constructor (received: Received, inner: MessageTrace | null) {
    this.#received = received
    this.#inner = inner
  }

  call (listener: Function, socket: object, args: unknown[]): unknown {
    const received = { ...this.#received }
    const inner = this.#inner
    const call = (): unknown => inner === null ? Reflect.apply(listener, socket, args) : inner.call(listener, socket, args)
    const result: unknown = receive.traceSync(call, received)
    if (!isThenable(result)) return result
    const promise = toPromise(result)
    const settled = () => { receive.asyncStart.runStores(received, () => { receive.asyncEnd.publish(received) }) }
    promise.then(settled, (error: unknown) => {
      received.error = error
      receive.error.publish(received)
      settled()
    })
    return promise
  }

  end (): void { this.#inner?.end() }
}
