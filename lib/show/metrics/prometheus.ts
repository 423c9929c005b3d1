/**
 * The metrics in a registry of prom-client or @prometheus-io/client. Neither is imported.
 *
 * A registry asks of a metric its name and `get()`. The libraries' own classes count themselves, and their histograms cannot be set;
 * these metrics read the numbers at the scrape.
 */
import { SOCKETS_ERR_OPTION_CONFLICT } from '../../base/errors.ts'
import { DEFINITIONS } from './definitions.ts'
import type { Definition, Numbers } from './definitions.ts'

/** A registry of `prom-client` 14 or 15, or of `@prometheus-io/client`. */
export interface MetricsRegistry {
  /** The content type of the text. */
  readonly contentType: string
  /** Adds a metric. */
  registerMetric (metric: never): void
  /** Returns a metric by its name. */
  getSingleMetric (name: string): unknown
  /** Removes a metric by its name. */
  removeSingleMetric (name: string): void
  /** Returns all metrics as text. */
  metrics (): Promise<string>
}

class RegisteredMetric {
  /** An OpenMetrics registry takes `_total` off, and adds it to the samples of a counter. */
  name: string
  readonly help: string
  readonly type: string
  readonly aggregator: string
  readonly #definition: Definition
  readonly #numbers: () => Numbers

  constructor (prefix: string, definition: Definition, numbers: () => Numbers) {
    this.name = prefix + definition.name
    this.help = definition.help
    this.type = definition.type
    this.aggregator = definition.aggregator
    this.#definition = definition
    this.#numbers = numbers
  }

  async get (): Promise<object> {
    const { name, help, type, aggregator } = this
    const values = this.#definition.read(this.#numbers()).map(({ suffix, labels, value }) => ({ value, labels, ...suffix === '' ? {} : { metricName: name + suffix } }))
    return { name, help, type, aggregator, values }
  }

  /** `resetMetrics()` of a registry cannot reset what the tracker counts. */
  reset (): void {}
}

/** Adds the metrics to a registry; returns a function that removes them. Throws SOCKETS_ERR_OPTION_CONFLICT if it has one of that name. */
export function register (registry: MetricsRegistry, prefix: string, read: () => Numbers): () => void {
  const numbers = oncePerScrape(read)
  const metrics = new Map(DEFINITIONS.map((definition) => [prefix + definition.name, new RegisteredMetric(prefix, definition, numbers)]))
  for (const name of metrics.keys()) {
    if (registry.getSingleMetric(name) === undefined) continue
    throw new SOCKETS_ERR_OPTION_CONFLICT(`the registry has a metric "${name}" already, perhaps of another application in this process: give each a register or a prefix of its own`)
  }
  for (const metric of metrics.values()) registry.registerMetric(metric as never)
  return () => {
    for (const [name, metric] of metrics) if (registry.getSingleMetric(name) === metric) registry.removeSingleMetric(name)
  }
}

/** A registry asks all of its metrics in one turn: they read the same numbers. */
function oncePerScrape (read: () => Numbers): () => Numbers {
  let numbers: Numbers | null = null
  return () => {
    if (numbers === null) {
      numbers = read()
      queueMicrotask(() => { numbers = null })
    }
    return numbers
  }
}
