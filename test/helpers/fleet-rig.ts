/**
 * A fleet of trackers on one fake clock, over an engine in memory that a test can make fail.
 */
import { FakeClock } from './fake-clock.ts'
import { createTracker } from './tracker-rig.ts'
import type { TrackerRig } from './tracker-rig.ts'
import type { FleetEngine } from '../../lib/fleet/engine.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import type { Fleet } from '../../lib/track/fleet.ts'

/** What becomes of calls: `hang`: they are never answered; `refuse`: they reject; `throw`: they throw. */
export type Fault = 'none' | 'hang' | 'refuse' | 'throw'

/** An engine whose calls fail as a test says. */
export interface FaultyEngine {
  readonly engine: FleetEngine
  /** What becomes of calls. @default 'none' */
  fault: Fault
  /** Methods whose calls fail; null: all. @default null */
  only: string[] | null
  /** Time until a call reaches the engine, milliseconds. @default 0 */
  delay: number
  /** Time until an answer arrives, milliseconds. @default 0 */
  lag: number
  /** Whether messages do not arrive. @default false */
  deaf: boolean
  /** Names of the calls, in order. */
  readonly calls: string[]
}

/** Wraps an engine. */
export function makeFaulty (engine: FleetEngine, clock: FakeClock): FaultyEngine {
  const faulty: FaultyEngine = {
    fault: 'none',
    only: null,
    delay: 0,
    lag: 0,
    deaf: false,
    calls: [],
    engine: new Proxy(engine, {
      get: (target, name: keyof FleetEngine) => {
        if (typeof target[name] !== 'function') return target[name]
        return (...args: unknown[]) => {
          faulty.calls.push(name)
          const fails = faulty.only === null || faulty.only.includes(name)
          if (fails && faulty.fault === 'throw') throw new Error(`${name} threw`)
          if (fails && faulty.fault === 'refuse') return Promise.reject(new Error(`${name} was refused`))
          if (fails && faulty.fault === 'hang') return new Promise(() => {})
          if (name === 'listen') {
            const hear = args[1] as (message: string) => void
            args[1] = (message: string) => { if (!faulty.deaf && faulty.fault !== 'hang') hear(message) }
          }
          const { delay, lag } = faulty
          const call = () => Reflect.apply(target[name] as () => Promise<unknown>, target, args) as Promise<unknown>
          if (delay + lag === 0) return call()
          return pass(clock, delay).then(call).finally(() => pass(clock, lag))
        }
      }
    })
  }
  return faulty
}

function pass (clock: FakeClock, time: number): Promise<void> {
  return new Promise((resolve) => {
    if (time === 0) resolve()
    else clock.setTimeout(resolve, time)
  })
}

/** A node: its tracker, its fleet and its engine. */
export interface FleetRigNode extends TrackerRig {
  readonly faulty: FaultyEngine
  readonly sockets: Fleet
  readonly id: string
  /** Stops at once, as a killed process does: it beats no more, and hears nothing. */
  kill (): void
  /** Goes on, as a process that was frozen does. */
  thaw (): void
}

export interface FleetRig {
  readonly clock: FakeClock
  readonly memory: MemoryFleet
  readonly nodes: FleetRigNode[]
  /** Starts one more node, which has joined. */
  add (options?: LifecycleOptions): Promise<FleetRigNode>
}

/** Starts a fleet; every node knows every other. */
export async function createFleet (size: number, options: LifecycleOptions = {}): Promise<FleetRig> {
  const clock = new FakeClock()
  const memory = new MemoryFleet(clock)
  const nodes: FleetRigNode[] = []
  const add = async (own: LifecycleOptions = options) => {
    const node = makeNode(memory, clock, own)
    nodes.push(node)
    void node.fleet.fleet.start()
    await clock.flush()
    return node
  }
  for (let i = 0; i < size; i++) await add()
  await clock.run(2_000)
  return { clock, memory, nodes, add }
}

/** Makes a node that has not started. */
export function makeNode (memory: MemoryFleet, clock: FakeClock, options: LifecycleOptions = {}): FleetRigNode {
  const faulty = makeFaulty(memory.engine(), clock)
  const rig = createTracker(options, 'debug', { clock, engine: faulty.engine })
  const sockets = rig.fleet.fleet
  return Object.assign(rig, {
    faulty,
    sockets,
    id: sockets.node,
    kill: () => {
      faulty.fault = 'hang'
      faulty.deaf = true
    },
    thaw: () => {
      faulty.fault = 'none'
      faulty.deaf = false
    }
  })
}

/** Lets time pass until a promise has settled, 5 s at most. Returns its value, and how long that took on the clock. */
export async function settle<T> (clock: FakeClock, promise: Promise<T>): Promise<{ value: T, after: number }> {
  const start = clock.now()
  const end = { at: Infinity }
  const settled = () => { end.at = clock.now() }
  promise.then(settled, settled)
  await clock.flush()
  while (end.at === Infinity && clock.now() < start + 5_000) await clock.run(10)
  return { value: await promise, after: end.at - start }
}
