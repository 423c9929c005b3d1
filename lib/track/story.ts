/**
 * The story of a connection: what happened to it, in order, and the same in one sentence.
 *
 * That of a closed connection is made of its record, that of an open one of its state when it is asked for: an open connection
 * keeps nothing for it. The sentence has no owner, no address, and nothing that a client, an operator or the application has written.
 */
import type { CloseCause } from '../base/close-codes.ts'
import { NO_CLOSE_FRAME } from '../connection/closing.ts'
import type { CloseRecord, ConnectionState } from '../connection/connection.ts'
import type { Step } from '../connection/steps.ts'

/** An event of a story. */
export interface StoryEvent {
  /** When it happened, epoch milliseconds. */
  at: number
  /** What happened. */
  what: 'opened' | Step['what'] | 'ping unanswered' | 'data unsent' | 'closing' | 'closed'
  /** `ping unanswered`: for how long its pong had not arrived, milliseconds. */
  duration?: number
  /** `data unsent`: bytes that waited in this process for the peer to read. */
  bytes?: number
  /** `closing`: what ended the connection. */
  cause?: CloseCause
  /** `closing`: the close code, ours or the peer's; 1006 if there was none. */
  code?: number
  /** `closing`: the close reason, ours or the peer's. */
  reason?: string
  /** `closing`: who has asked for it, where that was given. */
  by?: string
  /** `closing`: why that was asked for, where that was given. */
  why?: string
  /** `closed`: whether both close frames were exchanged. */
  clean?: boolean
  /** `closed`: code of the peer's close frame, or null. */
  receivedCode?: number | null
}

/** What happened to a connection. */
export interface Story {
  /** Id of the connection. */
  id: number
  /** Route pattern of the connection, the path for adopted servers; its first 256 characters. */
  route: string
  /** Fastify's request id, its first 128 characters; empty for adopted servers. */
  requestId: string
  /** The owner; only where the option `history` keeps it. */
  owner?: string
  /** Address of the peer; only where the option `history` keeps it. */
  ip?: string
  /** Time of the handshake, epoch milliseconds. */
  openedAt: number
  /** Time when it was closed, epoch milliseconds. */
  closedAt?: number
  /** The state. */
  state: ConnectionState
  /** What happened, in order; times are epoch milliseconds. */
  events: StoryEvent[]
  /** The same in one sentence. */
  summary: string
}

/** A connection that is not closing, as far as its story goes. */
export type OpenFacts = Pick<CloseRecord, 'id' | 'route' | 'requestId' | 'openedAt' | 'age' | 'steps' | 'unanswered' | 'unsent' | 'owner' | 'ip'>

const CLOSES: Record<CloseCause, string> = {
  drain: 'closed by the drain',
  leave: 'closed by the drain',
  moved: 'closed because its client has moved to a new connection',
  lifetime: 'closed at the end of its lifetime',
  rebalance: 'closed so that its client connects to another server',
  refused: 'closed because it was refused',
  rate: 'closed because its client sends too much',
  error: 'closed because code of the application has failed',
  expired: 'closed because its session has expired',
  disconnected: 'closed by disconnect()',
  application: 'closed by the application',
  idle: 'closed because its client has sent no message for too long',
  replaced: 'closed to make room for a newer connection',
  slow: 'closed because its client reads too slowly',
  protocol: 'closed because its client has broken the protocol',
  heartbeat: 'closed by the heartbeat',
  client: 'closed by its client',
  network: 'lost without a close frame'
}

/** Returns why a connection was closed, in one sentence. */
export function closeSummary (record: CloseRecord): string { return summary(record, false) }

/** Returns the story of a connection that is closing or closed. */
export function closeStory (record: CloseRecord, state: 'closing' | 'closed'): Story {
  const { openedAt, age, cause, code, reason, by, why, clean, receivedCode, duration } = record
  const closed = state === 'closed'
  const events: StoryEvent[] = [{ at: openedAt + age, what: 'closing', cause, code, reason, ...(by === undefined ? {} : { by }), ...(why === undefined ? {} : { why }) }]
  if (closed) events.push({ at: openedAt + duration, what: 'closed', clean, receivedCode })
  return { ...common(record, state, events, summary(record, !closed)), ...(closed ? { closedAt: openedAt + duration } : {}) }
}

/** Returns the story of a connection that is open or draining. */
export function openStory (facts: OpenFacts, state: ConnectionState): Story {
  const draining = facts.steps.find(({ what }) => what === 'draining')
  const since = draining === undefined ? '' : `draining for ${readable(facts.age - draining.after)}, `
  return common(facts, state, [], `${since}open for ${readable(facts.age)}${details(facts)}`)
}

function common (facts: OpenFacts, state: ConnectionState, last: StoryEvent[], text: string): Story {
  const { id, route, requestId, owner, ip, openedAt, age, steps, unanswered, unsent } = facts
  const events: StoryEvent[] = [{ at: openedAt, what: 'opened' }, ...steps.map(({ what, after }) => ({ at: openedAt + after, what }))]
  if (unanswered > 0) events.push({ at: openedAt + age - unanswered, what: 'ping unanswered', duration: unanswered })
  if (unsent > 0) events.push({ at: openedAt + age, what: 'data unsent', bytes: unsent })
  events.push(...last)
  return {
    id,
    route,
    requestId,
    ...(owner === undefined ? {} : { owner }),
    ...(ip === undefined ? {} : { ip }),
    openedAt,
    state,
    // Stable: of one time, the order above.
    events: events.sort((a, b) => a.at - b.at),
    summary: text
  }
}

function summary (record: CloseRecord, closing: boolean): string {
  const { cause, code, age, receivedCode } = record
  const byPeer = cause === 'client' || cause === 'network'
  const withFrame = code !== NO_CLOSE_FRAME
  const withCode = withFrame ? ` with ${code}` : byPeer || cause === 'heartbeat' ? '' : ' without a close frame'
  const answer = byPeer || !withFrame
    ? ''
    : receivedCode === null
      ? closing ? '; its client has not answered yet' : '; its client did not answer'
      : receivedCode === code ? '' : `; its client answered with ${receivedCode}`
  return `${CLOSES[cause]} after ${readable(age)}${withCode}${details(record)}${answer}`
}

function details ({ unanswered, unsent }: Pick<CloseRecord, 'unanswered' | 'unsent'>): string {
  const ping = unanswered > 0 ? `: no answer to a ping for ${readable(unanswered)}` : ''
  const bytes = unsent > 0 ? `; ${unsent} bytes waited for it to read` : ''
  return ping + bytes
}

/** Units of a duration: its name, its milliseconds, and up to how many of them it is used. */
const UNITS = [['ms', 1, 1_000], ['s', 1_000, 120], ['min', 60_000, 120], ['h', 3_600_000, 48], ['days', 86_400_000, Infinity]] as const

/** Formats a duration in milliseconds for people. */
function readable (duration: number): string {
  const [name, length] = UNITS.find(([, unit, most]) => duration < unit * most)!
  return `${Math.round(duration / length)} ${name}`
}
