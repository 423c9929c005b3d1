// The processes of the demo and their messages over IPC. Types and plain data only.
// In the first act main.ts forks one server and five crowd processes per side, in the second act (deploy/) two servers, a
// balancer and a process with readers per deploy. It exchanges messages with each of them.

/** The kinds of client, in the order of the table. */
export const kinds = ['calm', 'chatty', 'busy', 'deaf', 'silent', 'frozen', 'late'] as const
export type Kind = typeof kinds[number]

export const labels: Record<Kind, string> = {
  calm: 'well-behaved',
  chatty: 'chatty, a message every 100 ms',
  busy: 'busy with a 2 s job',
  deaf: 'not reading, 16 MB pending',
  silent: 'silent after the handshake',
  frozen: 'frozen (SIGSTOP), woken at the end',
  late: 'admitted during the shutdown'
}

/** The route of each kind of client; `frozen` clients are calm ones whose process is stopped. */
export const paths: Record<Kind, string> = {
  calm: '/chat',
  chatty: '/chat',
  busy: '/jobs',
  deaf: '/feed',
  silent: '/chat',
  frozen: '/chat',
  late: '/chat'
}

/** The message by which a server announces its shutdown. Clients stop sending then. */
export const leaving = 'leaving'

/** Windows has neither SIGSTOP nor a SIGTERM that a process can catch. */
export const hasSignals = process.platform !== 'win32'

export interface CrowdProcess {
  name: string
  clients: Partial<Record<Kind, number>>
  /** Opens a new handshake every 50 ms, from the signal on. */
  connectsLate?: boolean
}

/** 200 clients for each server, in processes of their own. */
export const crowd: readonly CrowdProcess[] = [
  { name: 'calm', clients: { calm: hasSignals ? 80 : 88 } },
  { name: 'chatty', clients: { chatty: 60 } },
  { name: 'busy', clients: { busy: 32 } },
  { name: 'awkward', clients: { deaf: 8, silent: 12 }, connectsLate: true },
  ...(hasSignals ? [{ name: 'frozen', clients: { frozen: 8 } }] : [])
]

/** Interval and duration of new handshakes during the shutdown, milliseconds. */
export const lateClients = { every: 50, during: 5_000 }

/** What one crowd process has seen so far. The counts of all processes of a side are added up. */
export interface Counts {
  open: number
  /** Connections that ended, by kind and close code. 1005: a frame without a code. 1006: no frame. */
  codes: Partial<Record<Kind, Record<string, number>>>
  /** The milliseconds in `retry=` of each close reason. */
  delays: number[]
  messages: { sent: number, answered: number }
  jobs: { started: number, answered: number }
  /** Outcomes of handshakes during the shutdown: accepted, an HTTP status, refused, … */
  attempts: Record<string, number>
}

export interface DatabaseFigures {
  acquired: number
  released: number
}

/** 'SIGTERM' takes the place of the signal on Windows. */
export type ToServer = { news: string } | 'SIGTERM'

/** What the readers of one deploy have seen so far. */
export interface ReaderCounts {
  /** Readers, and those with an open connection. */
  readers: number
  open: number
  /** Milliseconds without an open connection: of the reader that was without one longest, and of all. */
  longest: number
  total: number
  /** Messages that were published and never came, and those that came more than once. */
  missed: number
  twice: number
  /** Messages that the readers have sent, and those without a reply. */
  sent: number
  unanswered: number
  /** 'close' events. */
  closes: number
}

export type ToReaders =
  | { type: 'read', port: number, readers: number, lifecycle: boolean }
  | { type: 'talk' }
  | { type: 'await connections' }
  | { type: 'stop talking' }
  | { type: 'count', published: number }

/** Passes new connections to this port from now on. */
export interface ToBalancer { target: number }

export type FromReaders =
  | { type: 'connected' }
  | { type: 'reading', open: number, closes: number }
  | { type: 'counted', counts: ReaderCounts }

export type ToCrowd =
  | { type: 'connect', port: number, clients: CrowdProcess['clients'] }
  | { type: 'work' }
  | { type: 'connect late' }
  | { type: 'finish' }

export type FromCrowd =
  | { type: 'loaded' }
  | { type: 'connected' }
  | { type: 'attempted' }
  | { type: 'progress', counts: Counts }
  | { type: 'finished', counts: Counts }
  | { type: 'broken', why: string }

export type FromServer =
  | { type: 'listening', port: number }
  | { type: 'open', open: number, database: DatabaseFigures }
  | { type: 'database closed', database: DatabaseFigures }

export type Order = ToCrowd | ToServer | ToReaders | ToBalancer
export type Report = FromCrowd | FromServer | FromReaders
