/**
 * Runs V8's profiler around some work: CPU time of the main thread by the code it was in.
 */
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import type { Profiler as V8 } from 'node:inspector'
import { performance } from 'node:perf_hooks'
import { LIBRARY } from '../library.ts'
import type { ProfilePart } from '../results.ts'
import type { Profile } from './control.ts'
import { threadCpu } from './stall-probe.ts'

/** Microseconds between samples. */
const PERIOD = 500
/** Roots of the profile that are not functions. */
const IDLE = '(idle)'
const COLLECTOR = '(garbage collector)'

/** Native functions that are mostly system calls. */
const CALLS = ['getpeername', 'setKeepAlive']

/** Parts by the URL of a script; the first match counts. */
const OWNERS: Array<[part: ProfilePart, script: RegExp]> = [
  ['plugin', new RegExp(`/node_modules/${LIBRARY.replace('.', '\\.')}`)],
  ['ws', /\/node_modules\/ws\//],
  ['packages', /\/node_modules\//],
  ['node', /^node:/],
  // Builtins of V8 and functions of C++ have no script.
  ['native', /^$/]
]

export class Profiler {
  readonly #session = new Session()
  readonly #cpuOfThread = threadCpu()
  #startedAt = 0
  #turnsBefore: number | null = null

  async start (): Promise<void> {
    this.#session.connect()
    await this.#session.post('Profiler.enable')
    await this.#session.post('Profiler.setSamplingInterval', { interval: PERIOD })
    await this.#session.post('Profiler.start')
    this.#turnsBefore = turns()
    this.#startedAt = this.#cpuOfThread()
  }

  /** Ends it, and writes the profile to `file` for other tools. */
  async end (file: string): Promise<Profile> {
    const cpu = (this.#cpuOfThread() - this.#startedAt) * 1000
    const after = turns()
    const { profile } = await this.#session.post('Profiler.stop')
    this.#session.disconnect()
    writeFileSync(file, JSON.stringify(profile))
    return { ...divide(profile, cpu), turns: after === null ? null : after - this.#turnsBefore! }
  }
}

/** Turns of the event loop so far. */
function turns (): number | null {
  const { uvMetricsInfo } = performance.nodeTiming as unknown as { uvMetricsInfo?: { loopCount: number } }
  return uvMetricsInfo?.loopCount ?? null
}

/**
 * CPU time by part. Samples are taken in wall time: the time for which the thread waited for a core is subtracted in
 * proportion. CPU time beyond that of the samples was spent by the kernel while the thread waited for events.
 */
function divide ({ nodes, samples = [], timeDeltas = [] }: V8.Profile, cpu: number): Omit<Profile, 'turns'> {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const parts: Profile['parts'] = { plugin: 0, ws: 0, packages: 0, node: 0, native: 0, collection: 0, polling: 0, application: 0 }
  const functions = new Map<string, number>()
  let all = 0
  let calls = 0
  for (const [i, sample] of samples.entries()) {
    const { functionName, url, lineNumber } = frames.get(sample)!
    if (functionName === IDLE) continue
    // A delta is the time before its sample.
    const time = timeDeltas[i + 1] ?? 0
    const part = functionName === COLLECTOR ? 'collection' : OWNERS.find(([, script]) => script.test(url))?.[0] ?? 'application'
    all += time
    parts[part] += time
    if (CALLS.includes(functionName) && part === 'native') calls += time
    const place = `${functionName} ${url}:${lineNumber}`
    if (part === 'plugin') functions.set(place, (functions.get(place) ?? 0) + time)
  }
  const scale = Math.min(1, cpu / all)
  for (const part of Object.keys(parts) as ProfilePart[]) parts[part] *= scale
  parts.polling = Math.max(0, cpu - all)
  return { cpu, parts, largest: Math.max(0, ...functions.values()) * scale, calls: calls * scale }
}
