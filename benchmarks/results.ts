/**
 * The shape of results/latest.json: what the scenarios give, and what the report is written from.
 */

/** What the names of a stall's parts end with. */
export const PARTS = { own: 'while at work itself', collection: 'garbage collection' } as const

/** Whose code a main thread was in, as the names of a profile's metrics end. */
export const PROFILE_PARTS = {
  plugin: 'this plugin',
  ws: 'ws',
  packages: 'Fastify and other packages',
  node: 'JavaScript of Node',
  native: 'native code',
  collection: 'garbage collection',
  polling: 'waiting for events'
} as const

/** Further ones: all of the above and the benchmark's own; the most of the plugin's in one function; two system calls that the plugin makes for a handshake; a number, not a time. */
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
  /** ISO 8601. */
  date: string
}

/** A row against the row of another candidate with the same metric. */
export interface Ratio {
  to: string
  /** Of the ratios within each round. */
  median: number
  min: number
  max: number
}

/** One metric of one candidate. */
export interface Row {
  candidate: string
  metric: string
  unit: string
  /** One a round. */
  values: number[]
  median: number
  min: number
  max: number
  /** To each candidate that the scenario compares with; left out where there is none. */
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
}
