/**
 * Finds the longest stall of the event loop with a timer of 1 ms that notes how late it is. Pauses of the garbage collector are
 * subtracted and reported separately.
 *
 * The timer takes a few per cent of a core, so it must not run while CPU time is measured.
 */
import { openSync, readSync } from 'node:fs'
import { PerformanceObserver, performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import type { Stalls } from './control.ts'

/** Milliseconds. */
const RESOLUTION = 1

interface Span { from: number, to: number }

export class StallProbe {
  readonly #timer: NodeJS.Timeout
  readonly #observer: PerformanceObserver
  readonly #cpuOfThread = threadCpu()
  readonly #collections: Span[] = []
  readonly #stalls: Array<Span & { cpu: number }> = []
  #last = performance.now()
  #cpu = this.#cpuOfThread()

  constructor () {
    this.#observer = new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) this.#collections.push({ from: startTime, to: startTime + duration })
    })
    this.#observer.observe({ entryTypes: ['gc'] })
    this.#timer = setInterval(() => { this.#tick() }, RESOLUTION)
  }

  #tick (): void {
    const now = performance.now()
    const cpu = this.#cpuOfThread()
    if (now - this.#last > 2 * RESOLUTION) this.#stalls.push({ from: this.#last + RESOLUTION, to: now, cpu: cpu - this.#cpu })
    this.#last = now
    this.#cpu = cpu
  }

  /** Ends the probe. */
  async end (): Promise<Stalls> {
    this.#tick()
    clearInterval(this.#timer)
    // Entries of collections arrive some turns later.
    for (let i = 0; i < 3; i++) await setImmediate()
    this.#observer.disconnect()
    const result: Stalls = { longest: 0, apart: 0, own: 0, collection: 0 }
    for (const { from, to } of this.#collections) result.collection = Math.max(result.collection, to - from)
    for (const stall of this.#stalls) {
      const collecting = this.#collections.reduce((sum, span) => sum + overlap(stall, span), 0)
      const length = stall.to - stall.from
      result.longest = Math.max(result.longest, length)
      result.apart = Math.max(result.apart, length - collecting)
      result.own = Math.max(result.own, Math.max(0, Math.min(length, stall.cpu) - collecting))
    }
    return result
  }
}

/**
 * Milliseconds for which this thread has had a core; outside of Linux those of the whole process, with its compilers and
 * collectors.
 */
export function threadCpu (): () => number {
  try {
    const file = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
    const buffer = Buffer.alloc(64)
    return () => {
      // Otherwise the kernel reports the value of the last tick of its scheduler, up to 4 ms ago.
      cpuMicros()
      return Number(buffer.toString('latin1', 0, readSync(file, buffer, 0, buffer.length, 0)).split(' ', 1)[0]) / 1e6
    }
  } catch {
    return () => cpuMicros() / 1000
  }
}

/** User and system time of this process, microseconds. */
export function cpuMicros (): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

function overlap (a: Span, b: Span): number {
  return Math.max(0, Math.min(a.to, b.to) - Math.max(a.from, b.from))
}
