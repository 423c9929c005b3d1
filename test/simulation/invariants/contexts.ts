/**
 * S53: code of a connection runs in the async context of its own handler, or in none. And what it waits for has happened
 * when it runs: listeners of a close find its signal aborted.
 */
import { eachOf } from './invariant.ts'
import type { Invariant } from './invariant.ts'

/** Name of what holds for async contexts; the world itself finds code that runs in another's. */
export const CONTEXTS = 'no code runs in the context of another connection'

/** What is told of a connection once its handler has returned. */
const LATER = ['draining', 'closing', 'closed']

export const contexts: readonly Invariant[] = [
  {
    name: CONTEXTS,
    told (world, peer, event) {
      if (LATER.includes(event)) world.runs(peer, `a listener of "${event}"`)
      return undefined
    }
  },
  {
    name: 'listeners of a close find its signal aborted',
    told: (_, { name, signal }, event) => event === 'closing' && signal?.aborted === false && `${name} is closing, and its signal is not aborted`,
    step: ({ peers }) => eachOf(peers, ({ signal, closingAt }) => signal !== null && signal.aborted !== (closingAt !== null) &&
      `is ${closingAt === null ? 'not ' : ''}closing, and its signal is ${signal.aborted ? '' : 'not '}aborted`)
  }
]
