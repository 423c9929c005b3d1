/**
 * What is off by default and costs a connection something, each with bounds that nobody reaches.
 */
import type { LifecycleOptions } from '../../lib/index.ts'
import type { Feature } from './control.ts'

/** Longer than any benchmark takes, milliseconds; more than there are of anything. */
const LONG = 3_600_000
const MANY = 1_000_000

const FEATURES: Record<Feature, LifecycleOptions> = {
  idleTimeout: { idleTimeout: LONG },
  maxLifetime: { maxLifetime: LONG },
  limits: { limits: { total: { max: MANY }, perAddress: { max: MANY }, handshakes: { max: MANY } } },
  // Everyone is an owner of his own.
  owner: { owner: ({ headers }) => headers['sec-websocket-key'], limits: { perOwner: { max: MANY } } },
  rates: { messageRate: { max: MANY }, backpressure: { maxBufferedBytes: MANY } }
}

/** Options that turn some on. */
export function optionsOf (features: Feature[]): LifecycleOptions {
  const all = features.map((feature) => FEATURES[feature])
  return { ...Object.assign({}, ...all) as LifecycleOptions, limits: Object.assign({}, ...all.map(({ limits }) => limits)) as object }
}

/** All of them. */
export const EVERYTHING = Object.keys(FEATURES) as Feature[]
