/**
 * The metrics as observable instruments of OpenTelemetry's metrics API, which is not imported.
 *
 * The API has no observable histogram. Buckets, sum and count of one are instruments of their own, with the names that they have in
 * Prometheus; not counters, for their names would get `_total` on the way there.
 */
import { DEFINITIONS, suffixesOf } from './definitions.ts'
import type { Definition, Numbers } from './definitions.ts'

/** Describes an instrument. */
export interface InstrumentOptions {
  /** What the numbers say. */
  description?: string
  /** The unit (UCUM). */
  unit?: string
}

/** Gives numbers to a meter. */
export interface MetricsObserver {
  /** Gives the number of an instrument. */
  observe (instrument: never, value: number, attributes?: Record<string, string>): void
}

/** A meter of `@opentelemetry/api` 1.3 or newer. */
export interface MetricsMeter {
  /** Makes an instrument for a value. */
  createObservableGauge (name: string, options?: InstrumentOptions): unknown
  /** Makes an instrument for a count. */
  createObservableCounter (name: string, options?: InstrumentOptions): unknown
  /** Makes an instrument for a sum that may fall. */
  createObservableUpDownCounter (name: string, options?: InstrumentOptions): unknown
  /** Adds a function that is called at each collection. */
  addBatchObservableCallback (callback: (observer: MetricsObserver) => void, instruments: never[]): void
  /** Removes that function. */
  removeBatchObservableCallback (callback: (observer: MetricsObserver) => void, instruments: never[]): void
}

const UNITS: Record<Definition['unit'], string> = { '': '', seconds: 's', bytes: 'By' }

/** Makes the instruments; returns a function that ends their observation. */
export function observe (meter: MetricsMeter, prefix: string, numbers: () => Numbers): () => void {
  const instruments = new Map<string, never>()
  for (const definition of DEFINITIONS) {
    for (const suffix of suffixesOf(definition)) instruments.set(definition.name + suffix, create(meter, prefix + definition.name + suffix, definition) as never)
  }
  const callback = (observer: MetricsObserver) => {
    const now = numbers()
    for (const { name, read } of DEFINITIONS) {
      for (const { suffix, labels, value } of read(now)) observer.observe(instruments.get(name + suffix)!, value, labels)
    }
  }
  const all = [...instruments.values()]
  meter.addBatchObservableCallback(callback, all)
  return () => { meter.removeBatchObservableCallback(callback, all) }
}

function create (meter: MetricsMeter, name: string, { type, help, unit }: Definition): unknown {
  const isCount = type === 'histogram' && !name.endsWith('_sum')
  const options = { description: help, unit: isCount ? '' : UNITS[unit] }
  if (type === 'counter') return meter.createObservableCounter(name, options)
  return type === 'gauge' ? meter.createObservableGauge(name, options) : meter.createObservableUpDownCounter(name, options)
}
