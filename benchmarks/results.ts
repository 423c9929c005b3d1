/**
 * The types of results/latest.json, which the scenarios produce and the report reads.
 */

/** Endings of the names of a stall's parts. */
export const PARTS = { own: 'while at work itself', collection: 'garbage collection' } as const

/** The code a main thread was in: endings of the names of a profile's metrics. */
export const PROFILE_PARTS = {
  plugin: 'this plugin',
  ws: 'ws',
  packages: 'Fastify and other packages',
  node: 'JavaScript of Node',
  native: 'native code',
  collection: 'garbage collection',
  polling: 'waiting for events'
} as const

/** Further endings: all of the above and the benchmark's own code; the largest time in one function of the plugin; two system calls of the plugin per handshake; the number of turns. */
export const WHOLE = 'main thread'
export const MOST = 'one function of the plugin, at most'
export const CALLS = 'for addresses and keep-alive'
export const TURNS = 'turns of the event loop'

export type ProfilePart = keyof typeof PROFILE_PARTS

/** The machine that was measured. */
export interface Machine {
  cpu: string
  cores: number
  /** Bytes. */
  memory: number
  kernel: string
  node: string
  /** Load average of the minute before the run; unknown for earlier results. */
  load?: number
  /** ISO 8601. */
  date: string
}

/** The ratio of a row to the row of another candidate with the same metric. */
export interface Ratio {
  to: string
  /** Median of the ratios within each round. */
  median: number
  min: number
  max: number
}

/** One metric of one candidate. */
export interface Row {
  candidate: string
  metric: string
  unit: string
  /** One value per round. */
  values: number[]
  median: number
  min: number
  max: number
  /** Ratios to each candidate that the scenario compares with, if any. */
  ratios?: Ratio[]
}

/** All rows at one number of connections. */
export interface SizeResult {
  connections: number
  rounds: number
  rows: Row[]
  /** Candidates that were not measured, and why. */
  skipped?: Record<string, string>
}

export interface ScenarioResult {
  title: string
  sizes: SizeResult[]
  /** Where and when it was measured, if by itself. */
  machine?: Machine
}

export interface Results {
  machine: Machine
  scenarios: Record<string, ScenarioResult>
}

/** One value of one run. */
export interface Measurement {
  metric: string
  unit: string
  value: number
  /** The row it belongs to, if that is not the candidate's own. */
  row?: string
}
