/**
 * The live numbers: what the page shows of the whole server, as text by key. Made from counters, never by a walk over connections.
 */
import { count, duration } from './html.ts'
import type { Site } from './site.ts'
import type { DrainProgress } from '../../track/drain-report.ts'
import type { FleetNode } from '../../track/fleet.ts'
import type { FleetStats, TrackerStats } from '../../track/stats.ts'

/** A number with its name. */
export interface LiveNumber {
  readonly key: string
  readonly name: string
  readonly text: string
}

/** What is sent to the pages that are open. */
export interface LiveMessage {
  /** Key → text. */
  readonly texts: Record<string, string>
  /** Connections opened and closed and messages so far, and what other nodes have: another number means other rows. */
  readonly changes: number
  /** Part of the drain's time that has passed, 0 to 1. */
  readonly share: number
  /** What the drain waits for now: connection, name, time. */
  readonly held: ReadonlyArray<readonly [string, string, string]>
  /** Whether this is the last message: the drain has ended. */
  readonly end: boolean
}

/** Returns the numbers of the head of the page. */
export function numbersOf ({ state, connections, owners, working, opened, closed, refused, faults, fleet }: TrackerStats): LiveNumber[] {
  return [
    { key: 'state', name: 'Server', text: state },
    { key: 'connections', name: 'Open', text: count(connections) },
    { key: 'owners', name: 'Owners', text: count(owners) },
    { key: 'working', name: 'Working', text: count(working) },
    { key: 'opened', name: 'Opened', text: count(opened) },
    { key: 'closed', name: 'Closed', text: count(sum(Object.values(closed))) },
    { key: 'refused', name: 'Refused', text: count(sum(Object.values(refused))) },
    { key: 'faults', name: 'Faults', text: count(faults) },
    ...fleet === null ? [] : [{ key: 'nodes', name: 'Nodes', text: nodesText(fleet) }]
  ]
}

function nodesText ({ state, nodes: { running, draining } }: FleetStats): string {
  return `${count(running + draining)}${draining > 0 ? `, ${count(draining)} leaving` : ''}${state === 'down' ? ', no engine' : ''}`
}

/** Returns the numbers of a drain. */
export function progressOf ({ phase, elapsed, timeout, connections, working, queued, closed }: DrainProgress): LiveNumber[] {
  return [
    { key: 'phase', name: 'Phase', text: phase },
    { key: 'elapsed', name: 'Elapsed', text: `${duration(elapsed)} of ${duration(timeout)}` },
    { key: 'left', name: 'Connections left', text: count(connections) },
    { key: 'waited', name: 'Working', text: count(working) },
    { key: 'queued', name: 'Close frames to send', text: count(queued) },
    { key: 'drained', name: 'Closed so far', text: count(closed) }
  ]
}

/** What a drain that has not begun shows. */
export const NO_PROGRESS: LiveNumber[] = progressOf({ phase: 'settle', elapsed: 0, timeout: 0, connections: 0, working: 0, queued: 0, closed: 0 }).map((number) => ({ ...number, text: '–' }))

/** Returns the message for open pages. `progress`: null before a drain. */
export function messageOf ({ tracker, fleet }: Pick<Site, 'tracker' | 'fleet'>, progress: DrainProgress | null): LiveMessage {
  const stats = tracker.stats()
  const numbers = [...numbersOf(stats), ...progress === null ? [] : progressOf(progress)]
  return {
    texts: Object.fromEntries(numbers.map(({ key, text }) => [key, text])),
    changes: changesOf(stats, fleet?.nodes),
    share: progress === null ? 0 : Math.min(1, progress.elapsed / progress.timeout),
    held: tracker.holding.map(({ connection, route, name, duration: taken }) => [`#${connection} ${route}`, name, duration(taken)]),
    end: stats.state === 'drained'
  }
}

/** Weight of a change of another node: it must not make up for one of this node. */
const WEIGHT = 1e6

/** Returns how many connections were opened and closed and messages received and sent here, and a number that changes with other nodes. */
export function changesOf ({ opened, closed, routes }: TrackerStats, nodes: readonly FleetNode[] = []): number {
  const elsewhere = nodes.map(({ self, state, connections }) => self ? 0 : 1 + connections + Number(state === 'draining'))
  return opened + sum(Object.values(closed)) + sum(Object.values(routes).map(({ messages }) => messages.received + messages.sent)) + WEIGHT * sum(elsewhere)
}

/** Adds up. */
export function sum (numbers: readonly number[]): number { return numbers.reduce((total, each) => total + each, 0) }
