/**
 * The time of client libraries is that of a test: their timers, and what they read of clocks, run on a FakeClock.
 *
 * The network stays real, and so does the plugin's own clock, which keeps the functions it found when it was loaded.
 */
import { FakeClock } from '../../helpers/fake-clock.ts'

const { Date: RealDate, performance, setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = globalThis

/** Puts real time back. */
const restore = (): void => { Object.assign(globalThis, { Date: RealDate, performance, setTimeout, clearTimeout, setInterval, clearInterval }) }

/** Runs `body` while the global timers and clocks are those of the clock it gets. */
export async function onFakeTime<T> (body: (clock: FakeClock) => Promise<T>): Promise<T> {
  const clock = new FakeClock({ wall: RealDate.now() })
  type Callback = (...args: unknown[]) => void
  /** One call after `delay`, or one after each. */
  const arm = (repeats: boolean) => (callback: Callback, delay = 0, ...args: unknown[]) => {
    const fire = () => {
      if (repeats) handle.timer = clock.setTimeout(fire, delay)
      callback(...args)
    }
    const handle = { timer: clock.setTimeout(fire, delay), ref: () => handle, unref: () => handle, hasRef: () => true }
    return handle
  }
  const disarm = (handle?: { timer?: ReturnType<FakeClock['setTimeout']> }) => { if (handle?.timer !== undefined) clock.clearTimeout(handle.timer) }
  class FakeDate extends RealDate {
    constructor (...args: unknown[]) {
      super(...(args.length === 0 ? [clock.wallNow()] : args) as [number])
    }

    static override now (): number { return clock.wallNow() }
  }
  Object.assign(globalThis, {
    Date: FakeDate,
    performance: { now: () => clock.now() },
    setTimeout: arm(false),
    clearTimeout: disarm,
    setInterval: arm(true),
    clearInterval: disarm
  })
  try {
    return await body(clock)
  } finally {
    restore()
  }
}

/** Lets a millisecond of real time pass. */
export const pause = (): Promise<void> => new Promise((resolve) => { setTimeout(resolve, 1) })

/** Resolves when a condition holds; real time, and none of the clock's, passes meanwhile. Fails after a minute. */
export async function eventually (condition: () => unknown, what: string): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited a minute for ${what}`)
    await pause()
  }
}

/** What has arrived is read, and what follows from it without a timer is done. */
export async function settle (): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => { setImmediate(resolve) })
}

/** Lets time pass, timer by timer, until the condition holds, at most this long; returns whether it holds. */
export async function passUntil (clock: FakeClock, limit: number, condition: () => boolean): Promise<boolean> {
  const end = clock.now() + limit
  await settle()
  while (!condition() && clock.now() < end) {
    await clock.run(Math.min(clock.nextTimerIn, end - clock.now()))
    // Promises between a timer and what it leads to.
    await settle()
  }
  return condition()
}
