/**
 * The common part of all nodes of a fleet: the control protocol over IPC, and what can be measured without the help of a candidate.
 */
import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMicros } from '../monotonic.ts'
import { answer } from '../rpc.ts'
import type { Asked, FleetNodeControl, RedisAddress, Told } from './control.ts'

/** Orders under way at a time, and the time until one that was rejected is given again, milliseconds. */
const AT_ONCE = 64
const RETRY = 100

/** What an answer has to say; a number: of an answer that names no missing nodes. */
type Found = number | { found: number, missing: string[] }

/** The functions of a candidate. */
export interface RunningNode {
  port: number
  /** Its id, as others name it. */
  id: string
  /** Its connections. */
  size (): number
  /** Number of nodes that it knows. */
  nodes (): Found | Promise<Found>
  /** Connections of an owner. */
  count (owner: string): Promise<Found>
  /** The same with the nodes that have them. */
  presence? (owner: string): Promise<Found>
  /** A page of connections; all of them for a candidate without pages. */
  page (): Promise<Found>
  broadcast (tag: string, text: string): unknown
  disconnect (owner: string): unknown
  told? (): Told
}

/** Turns the process into a node. */
export function serveNode (start: (redis: RedisAddress) => Promise<RunningNode>): void {
  let node: RunningNode
  let [ordered, rejected] = [0, 0]
  const order = async (owner: string): Promise<void> => {
    try {
      await node.disconnect(owner)
      ordered++
    } catch {
      rejected++
      await sleep(RETRY)
      await order(owner)
    }
  }
  // The sockets that this process has opened: all of them to Redis.
  const sockets: Socket[] = []
  channel('net.client.socket').subscribe((message) => { sockets.push((message as { socket: Socket }).socket) })
  answer<FleetNodeControl>({
    async start (redis) {
      node = await start(redis)
      return { port: node.port, id: node.id }
    },
    sample: () => ({ connections: node.size(), received: sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0) }),
    async ask (question, owner) {
      const startedAt = performance.now()
      const took = (found: number | null, missing: string[]): Asked => ({ duration: performance.now() - startedAt, found, missing })
      try {
        const found = await node[question]!(owner)
        return typeof found === 'number' ? took(found, []) : took(found.found, found.missing)
      } catch {
        return took(null, [])
      }
    },
    broadcast: (tag, bytes) => timed(() => node.broadcast(tag, 'x'.repeat(bytes))),
    disconnect: (owner) => timed(() => node.disconnect(owner)),
    async orders (owners) {
      const waiting = owners.values()
      await Promise.all(Array.from({ length: AT_ONCE }, async () => { for (const owner of waiting) await order(owner) }))
      return rejected
    },
    ordered: () => ordered,
    told: () => node.told?.() ?? { lost: [], offline: [] }
  })
}

/** Starts the work without waiting for its end: its effect is measured where it arrives. */
function timed (work: () => unknown): { startedAt: number } {
  const startedAt = monotonicMicros()
  void Promise.resolve(work()).catch((error: unknown) => { console.error(error) })
  return { startedAt }
}
