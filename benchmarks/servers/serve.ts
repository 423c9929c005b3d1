/**
 * The common part of all servers under test: the control protocol over IPC, and measurements of their own process.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMicros } from '../monotonic.ts'
import { answer } from '../rpc.ts'
import type { Memory, ServerControl, ServerOptions } from './control.ts'
import { Profiler } from './profiler.ts'
import { cpuMicros, StallProbe } from './stall-probe.ts'

/** The functions of a candidate. */
export interface RunningServer {
  port: number
  /** Connections now. */
  size (): number
  /** Sends to all clients, in the way of the candidate. */
  broadcast? (text: string): unknown
  /** Returns the text of the metrics. */
  scrape? (): Promise<string>
  close (): Promise<unknown>
}

/** Time between two collections, because objects that the first one frees may refer to others; milliseconds. */
const PAUSE = 300
/** Time between two scrapes, milliseconds. */
const SCRAPE_INTERVAL = 20

/** Turns the process into a server under test. */
export function serve (start: (options: ServerOptions) => Promise<RunningServer>): void {
  let server: RunningServer
  let probe: StallProbe | null = null
  let profiler: Profiler | null = null
  const texts = new Map<number, string>()
  answer<ServerControl>({
    async start (options) {
      server = await start(options)
      return { port: server.port }
    },
    sample: () => ({ cpu: cpuMicros(), connections: server.size() }),
    memory,
    watch () { probe = new StallProbe() },
    stalls: () => probe!.end(),
    profile () {
      profiler = new Profiler()
      return profiler.start()
    },
    profiled: (file) => profiler!.end(file),
    async broadcast (bytes) {
      const text = texts.get(bytes) ?? 'x'.repeat(bytes)
      texts.set(bytes, text)
      const startedAt = monotonicMicros()
      await server.broadcast!(text)
      return { startedAt }
    },
    async scrape (times) {
      const durations: number[] = []
      let bytes = 0
      for (let i = 0; i < times; i++) {
        // The text is made in one turn of the event loop.
        const startedAt = monotonicMicros()
        bytes = Buffer.byteLength(await server.scrape!())
        durations.push((monotonicMicros() - startedAt) / 1000)
        await sleep(SCRAPE_INTERVAL)
      }
      return { durations, bytes }
    },
    async close () {
      const startedAt = monotonicMicros()
      await server.close()
      return { startedAt, endedAt: monotonicMicros() }
    }
  })
}

async function memory (): Promise<Memory> {
  for (let i = 0; i < 3; i++) {
    await sleep(PAUSE)
    globalThis.gc!()
  }
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed, resident: rss }
}
