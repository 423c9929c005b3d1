// What the demo's processes say to each other over IPC, and who takes part. Types and plain data only.
// main.ts forks one server and five crowd processes per side; nobody else talks to anybody.

/** The kinds of client, in the order of the table. */
export const kinds = ['calm', 'chatty', 'busy', 'deaf', 'silent', 'frozen', 'newcomer'] as const
export type Kind = typeof kinds[number]

export const labels: Record<Kind, string> = {
  calm: 'well-behaved',
  chatty: 'chatty, a message every 100 ms',
  busy: 'busy with a 2 s job',
  deaf: 'not reading, 16 MB pending',
  silent: 'silent after the handshake',
  frozen: 'frozen (SIGSTOP), woken at the end',
  newcomer: 'newcomers that got in'
}

/** Where each kind of client goes; `frozen` clients are calm ones whose process is stopped. */
export const paths: Record<Kind, string> = {
  calm: '/chat',
  chatty: '/chat',
  busy: '/jobs',
  deaf: '/feed',
  silent: '/chat',
  frozen: '/chat',
  newcomer: '/chat'
}

/** What a server may send to say that it is about to go. Clients stop sending then. */
export const leaving = 'leaving'

/** Windows has neither SIGSTOP nor a SIGTERM that a process could catch. */
export const hasSignals = process.platform !== 'win32'

export interface CrowdProcess {
  name: string
  clients: Partial<Record<Kind, number>>
  /** Knocks on the server's door every 50 ms from the moment of the signal. */
  knocks?: boolean
}

/** 200 clients for each server, in processes of their own. */
export const crowd: readonly CrowdProcess[] = [
  { name: 'calm', clients: { calm: hasSignals ? 80 : 88 } },
  { name: 'chatty', clients: { chatty: 60 } },
  { name: 'busy', clients: { busy: 32 } },
  { name: 'awkward', clients: { deaf: 8, silent: 12 }, knocks: true },
  ...(hasSignals ? [{ name: 'frozen', clients: { frozen: 8 } }] : [])
]

/** How long newcomers go on knocking, and how often. Milliseconds. */
export const knocking = { every: 50, during: 5_000 }

/** What one crowd process has seen so far. The figures of all processes of a side are added up. */
export interface Tally {
  open: number
  /** Connections that ended, by kind and close code. 1005: a frame without a code. 1006: no frame at all. */
  codes: Partial<Record<Kind, Record<string, number>>>
  /** The milliseconds in `retry=` of each close reason. */
  delays: number[]
  messages: { sent: number, answered: number }
  jobs: { started: number, answered: number }
  /** What became of the attempts to connect during the shutdown: accepted, an HTTP status, refused, … */
  knocks: Record<string, number>
}

export interface DatabaseFigures {
  acquired: number
  released: number
}

export type ToCrowd =
  | { type: 'connect', port: number, clients: CrowdProcess['clients'] }
  | { type: 'work' }
  | { type: 'knock' }
  | { type: 'finish' }

export type FromCrowd =
  | { type: 'loaded' }
  | { type: 'connected' }
  | { type: 'progress', tally: Tally }
  | { type: 'finished', tally: Tally }
  | { type: 'broken', why: string }

export type FromServer =
  | { type: 'listening', port: number }
  | { type: 'open', open: number, database: DatabaseFigures }
  | { type: 'database closed', database: DatabaseFigures }

export type Report = FromCrowd | FromServer
