/**
 * Features that are off by default and take memory per connection, each with limits that no client reaches.
 */
import type { LifecycleOptions } from '../../lib/index.ts'
import type { Feature } from './control.ts'

/** Milliseconds, longer than any benchmark; and a count above any number of connections or messages. */
const LONG = 3_600_000
const MANY = 1_000_000

const FEATURES: Record<Feature, LifecycleOptions> = {
  idleTimeout: { idleTimeout: LONG },
  maxLifetime: { maxLifetime: LONG },
  limits: { limits: { total: { max: MANY }, perAddress: { max: MANY }, handshakes: { max: MANY } } },
  // Each connection has its own owner.
  owner: { owner: ({ headers }) => headers['sec-websocket-key'], limits: { perOwner: { max: MANY } } },
  rates: { messageRate: { max: MANY }, backpressure: { maxBufferedBytes: MANY } }
}

/** Options that turn these features on. */
export function optionsOf (features: Feature[]): LifecycleOptions {
  const all = features.map((feature) => FEATURES[feature])
  return { ...Object.assign({}, ...all) as LifecycleOptions, limits: Object.assign({}, ...all.map(({ limits }) => limits)) as object }
}

/** All of them. */
export const EVERYTHING = Object.keys(FEATURES) as Feature[]
