/**
 * Memory of an open, idle connection: V8 heap and resident set, after garbage collection; with the handshake headers of a
 * browser, and the defaults.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { BARE, BARE_RECIPE, OURS, SOCKET_IO, UWS, WS } from '../candidates.ts'
import type { Candidate } from '../candidates.ts'
import type { Scenario } from '../scenario.ts'
import { Session } from '../session.ts'
import type { Handler } from '../servers/control.ts'
import { EVERYTHING } from '../servers/features.ts'

/** Handlers that keep more alive than a sync one does; up to 10,000 connections only. */
const HANDLERS: Array<[Handler, string]> = [['async', 'async (socket)'], ['async-request', 'async (socket, request)']]

const VARIANTS = [OURS, BARE].flatMap((candidate) => HANDLERS.map(([handler, text]): Candidate =>
  ({ ...candidate, name: `${candidate.name}, ${text}`, options: { handler } })))

/** Each feature, likewise; and all of them together, at all sizes. */
const FEATURES = EVERYTHING.map((feature): Candidate =>
  ({ ...OURS, name: `ours with ${feature}`, options: { features: [feature] } }))
const ALL: Candidate = { ...OURS, name: 'ours with everything on', options: { features: EVERYTHING } }

/** Time for objects that are released some time after the handshake, milliseconds. */
const SETTLE = 1_000

export const memory: Scenario = {
  title: 'Memory',
  sizes: [1_000, 10_000, 18_500],
  rounds: 2,
  candidates: (connections) => [OURS, ALL, BARE, BARE_RECIPE, WS, SOCKET_IO, UWS, ...(connections <= 10_000 ? [...FEATURES, ...VARIANTS] : [])],
  peers: [BARE, WS],

  measure: (candidate, connections) => Session.run(candidate, { handler: 'sync' }, async (session) => {
    const before = await session.server.memory()
    await session.open(connections)
    await sleep(SETTLE)
    const after = await session.server.memory()
    return [
      { metric: 'heap', unit: 'B per connection', value: (after.heap - before.heap) / connections },
      { metric: 'resident', unit: 'B per connection', value: (after.resident - before.resident) / connections }
    ]
  })
}
