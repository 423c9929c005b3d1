/**
 * Closing a server: time until the last client has seen the end, and until its own `close` has resolved; CPU per connection,
 * the longest stall, and the share of clients that read a close code; with all clients cooperative, and with 1 % that never
 * answer. At the smallest size also warm: after other servers were closed in the process.
 */
import { BARE, FLOOR, OURS, UWS, WS } from '../candidates.ts'
import type { Candidate } from '../candidates.ts'
import type { Measurement } from '../results.ts'
import type { Scenario } from '../scenario.ts'
import { Session } from '../session.ts'

const SILENT_SHARE = 0.01
/** Close codes that mean that there was none (RFC 6455 §7.4.1). */
const NO_CODE = ['1005', '1006']
/** With silent clients, ws takes 30 s at any size, so it is measured at one size only. */
const LEAST = 1_000
let waited = false
/** A server closes once, with code that has never run, which is most of the work for few connections. These are also closed warm. */
const IN_JAVASCRIPT = [OURS, BARE, WS].map(({ server }) => server)

export const close: Scenario = {
  title: 'Close',
  sizes: [LEAST, 10_000, 18_500],
  rounds: 3,
  candidates: () => [OURS, BARE, WS, UWS, FLOOR],
  peers: [BARE, FLOOR],

  async measure (candidate, connections) {
    const { total, closed, cpu, codes } = await closing(candidate, connections)
    const found: Measurement[] = [
      { metric: 'total, cooperative', unit: 'ms', value: total },
      { metric: 'close(), cooperative', unit: 'ms', value: closed },
      { metric: 'CPU, cooperative', unit: 'µs per connection', value: cpu },
      { metric: 'codes, cooperative', unit: '% of clients', value: codes },
      // A separate run, because the probe takes some of the CPU.
      ...(await closing(candidate, connections, { stall: 'stall, cooperative' })).stalls
    ]
    if (connections === LEAST && IN_JAVASCRIPT.includes(candidate.server)) {
      const { total, closed, cpu } = await closing(candidate, connections, { warm: true })
      found.push(
        { metric: 'total, warm', unit: 'ms', value: total },
        { metric: 'close(), warm', unit: 'ms', value: closed },
        { metric: 'CPU, warm', unit: 'µs per connection', value: cpu }
      )
    }
    if (candidate.server === 'ours' || isDue(candidate, connections)) {
      const { total, closed, codes, stalls } = await closing(candidate, connections, { silent: Math.ceil(connections * SILENT_SHARE), stall: 'stall, 1 % silent' })
      found.push(
        { metric: 'total, 1 % silent', unit: 'ms', value: total },
        { metric: 'close(), 1 % silent', unit: 'ms', value: closed },
        { metric: 'codes, 1 % silent', unit: '% of clients', value: codes },
        ...stalls
      )
    }
    return found
  }
}

function isDue (candidate: Candidate, connections: number): boolean {
  if (candidate !== BARE || connections !== LEAST || waited) return false
  waited = true
  return true
}

/** Milliseconds, CPU microseconds per connection, per cent of the clients. */
interface Closing { total: number, closed: number, cpu: number, codes: number, stalls: Measurement[] }

/** Measures stalls if a name for them is given. */
function closing (candidate: Candidate, connections: number, { silent = 0, warm = false, stall }: { silent?: number, warm?: boolean, stall?: string } = {}): Promise<Closing> {
  return Session.run(candidate, { handler: 'sync' }, async (session) => {
    if (warm) await session.warmUpClosing()
    await session.open(connections, silent)
    let found = { total: 0, closed: 0, codes: {} }
    const close = async () => { found = await session.close() }
    let stalls: Measurement[] = []
    const cpu = await session.cpuOf(async () => {
      if (stall === undefined) await close()
      else stalls = await session.stallOf(stall, close)
    })
    const told = Object.entries<number>(found.codes).reduce((sum, [code, count]) => NO_CODE.includes(code) ? sum : sum + count, 0)
    return { ...found, cpu: cpu / connections, codes: told / connections * 100, stalls }
  })
}
