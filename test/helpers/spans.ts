/**
 * OpenTelemetry for tests: a provider that counts the spans that have started, and keeps those that have ended. A process has one.
 */
import { context, propagation, SpanStatusCode, trace } from '@opentelemetry/api'
import type { SpanAttributes } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, ParentBasedSampler, SamplingDecision } from '@opentelemetry/sdk-trace-base'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'

/** What the sampler is asked about a root. */
type Sample = (name: string, attributes: SpanAttributes) => boolean

export class SpanLog {
  readonly ended: ReadableSpan[] = []
  /** Spans that have started and not ended. */
  readonly open = new Set<object>()
  started = 0
  /** Decides about roots; a child is sampled if its parent is. */
  sample: Sample = () => true
  /** Called for each span that starts or ends. */
  onSpan: (name: string) => void = () => {}

  clear (): void {
    this.ended.length = 0
    this.started = 0
  }

  /** For the start of a test. */
  reset (): void {
    this.clear()
    this.open.clear()
    this.sample = () => true
    this.onSpan = () => {}
  }

  named (name: string): ReadableSpan[] { return this.ended.filter((span) => span.name === name) }

  /** The only span of a name. */
  one (name: string): ReadableSpan {
    const found = this.named(name)
    if (found.length !== 1) throw new Error(`${found.length} spans are called ${name}: ${this.ended.map((span) => span.name).join(', ')}`)
    return found[0]!
  }

  failed (): string[] { return this.ended.filter(({ status }) => status.code === SpanStatusCode.ERROR).map(({ name }) => name) }
}

let recorded: SpanLog | undefined

/** Registers OpenTelemetry for this process, once. */
export function recordSpans (): SpanLog { return (recorded ??= register()) }

function register (): SpanLog {
  const log = new SpanLog()
  const root = {
    shouldSample: (_context: unknown, _traceId: string, name: string, _kind: unknown, attributes: SpanAttributes) => ({
      decision: log.sample(name, attributes) ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD
    })
  }
  const provider = new BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: root as never }),
    spanProcessors: [{
      onStart (span) {
        log.onSpan(span.name)
        log.started++
        log.open.add(span)
      },
      onEnd (span) {
        log.onSpan(span.name)
        log.open.delete(span)
        log.ended.push(span)
      },
      forceFlush: async () => {},
      shutdown: async () => {}
    }]
  })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(provider)
  return log
}

/** What an instrumentation of a database does: a span of its own, below the active one. */
export function query (name: string): void {
  trace.getTracer('database').startSpan(name).end()
}

/** Id of a span's parent. */
export function parentOf (span: ReadableSpan): string | undefined { return span.parentSpanContext?.spanId }
