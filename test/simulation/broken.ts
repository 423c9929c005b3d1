/**
 * What sabotages are made of: a transport, a clock or a class of another kind, and how the real one comes back.
 */
import type { Clock } from '../../lib/base/clock.ts'
import type { Surroundings } from '../../lib/wiring.ts'
import type { FakeClock } from '../helpers/fake-clock.ts'
import { FakeTransport } from '../helpers/fake-socket.ts'

/** What a sabotage puts in place of the real thing, and how that is undone. */
export interface Broken {
  parts?: Partial<Surroundings>
  /** In place of Math.random. */
  random?: () => number
  undo? (): void
}

export interface Sabotage {
  /** Name of the invariant that finds it. */
  readonly invariant: string
  readonly what: string
  begin (clock: FakeClock): Broken
}

/** A transport with some methods of another kind. */
export function transport (methods: Partial<FakeTransport>): Broken {
  return { parts: { transport: Object.assign(new FakeTransport(), methods) } }
}

/** A clock with some methods of another kind. */
export function clockWith (clock: FakeClock, methods: Partial<Clock>): Broken {
  return {
    parts: {
      clock: {
        now: () => clock.now(),
        wallNow: () => clock.wallNow(),
        cpu: () => clock.cpu(),
        setTimeout: (callback, delay) => clock.setTimeout(callback, delay),
        clearTimeout: (timer) => { clock.clearTimeout(timer) },
        setImmediate: (callback) => { clock.setImmediate(callback) },
        firesTimers: () => clock.firesTimers(),
        ...methods
      }
    }
  }
}

/** Replaces methods of a class. */
export function patch<T extends object> (prototype: T, change: (original: T) => PropertyDescriptorMap): Broken {
  const descriptors = Object.getOwnPropertyDescriptors(prototype)
  const original = Object.create(Object.getPrototypeOf(prototype) as object, descriptors) as T
  const changed = change(original)
  for (const [key, descriptor] of Object.entries(changed)) Object.defineProperty(prototype, key, { configurable: true, ...descriptor })
  return {
    undo () {
      for (const key of Object.keys(changed)) {
        const before = (descriptors as PropertyDescriptorMap)[key]
        if (before === undefined) Reflect.deleteProperty(prototype, key)
        else Object.defineProperty(prototype, key, before)
      }
    }
  }
}

/** A method for `patch`. */
export const method = <T>(value: (this: T, ...args: never[]) => unknown): PropertyDescriptor => ({ writable: true, value })
