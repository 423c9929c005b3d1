/**
 * Nodes of a fleet in memory whose limits count the connections of all: trackers on one fake clock, and handshakes that go through
 * admission as real ones do.
 */
import type { FleetEngine, PlacesAsked, PlacesGiven } from '../../lib/fleet/engine.ts'
import { MemoryFleet } from '../../lib/fleet/memory-engine.ts'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import { FakeClock } from './fake-clock.ts'
import type { Pair } from './fake-host.ts'
import { makeFaulty } from './fleet-rig.ts'
import { createTracker } from './tracker-rig.ts'
import type { TrackerRig } from './tracker-rig.ts'

type Limits = NonNullable<LifecycleOptions['limits']>

/** Limits that nodes share. */
export const perOwner = (max: number, policy: 'refuse' | 'evict-oldest' = 'refuse'): Limits => ({ perOwner: { max, policy, scope: 'fleet' } })
export const total = (max: number, policy: 'refuse' | 'evict-oldest' = 'refuse'): Limits => ({ total: { max, policy, scope: 'fleet' } })

export interface PlacesNode extends TrackerRig {
  /** Calls of `take`. */
  readonly takes: Array<readonly PlacesAsked[]>
  /** No call is answered, and no message arrives. */
  frozen: boolean
  /** Time until an answer arrives, milliseconds. */
  lag: number
  /** Replaces the answer of `take`, once the engine has carried it out. */
  answer: ((given: PlacesGiven[]) => unknown) | null
  /**
   * A handshake, from its arrival to the open connection. Resolves with the connection, or with the reason of the refusal. `move`: the
   * id of a move that it offers.
   */
  handshake (owner?: string, move?: string): Promise<Pair | string>
  /** The same if it must open. */
  connect (owner?: string, move?: string): Promise<Pair>
}

export interface PlacesFleet {
  readonly clock: FakeClock
  readonly memory: MemoryFleet
  readonly nodes: PlacesNode[]
  /** Number of connections of all nodes that are open. */
  readonly open: number
}

/** Makes a fleet whose nodes have joined, and know each other. */
export async function createPlaces (count: number, options: LifecycleOptions): Promise<PlacesFleet> {
  const clock = new FakeClock()
  const memory = new MemoryFleet(clock)
  const nodes = Array.from({ length: count }, () => createNode(memory.engine(), clock, options))
  for (const { fleet } of nodes) void fleet.fleet.start()
  await clock.run(2_000)
  return { clock, memory, nodes, get open () { return nodes.reduce((sum, { tracker }) => sum + tracker.count({ state: 'open' }), 0) } }
}

/** Lets time stand still until a promise has resolved. */
export async function settle<T> (clock: FakeClock, promise: Promise<T>): Promise<T> {
  const state = { settled: false }
  void promise.finally(() => { state.settled = true }).catch(() => {})
  for (let turn = 0; !state.settled; turn++) {
    if (turn === 100) throw new Error('it does not settle')
    await clock.flush()
  }
  return await promise
}

/** A handshake as in handshake/admission-checks.ts. Resolves with its connection, which is open, or with the reason of the refusal. */
export async function admit (rig: TrackerRig, owner?: string, move?: string): Promise<Pair | string> {
  const request = {}
  const { tracker, admission, moves } = rig
  const { links } = moves
  const claims = links.claim(request, move)
  const opens = (again: boolean) => !tracker.accepting
    ? 'draining'
    : links.serves(request, owner) ? null : admission!.opening('', owner, true, '/', again)
  if (!tracker.accepting) return 'draining'
  const refusal = admission!.arrived('/', claims) ?? (claims ? null : await admission!.claimOnArrival(request, '/', move)) ??
    opens(false) ?? (links.serves(request, owner) ? null : await admission!.claim(request, owner, '/', move)) ?? opens(true)
  if (!links.release(request)) admission!.left()
  admission!.release(request)
  if (refusal !== null) return refusal
  const pair = rig.accept(owner === undefined ? { peer: 'answers' } : { peer: 'answers', owner })
  moves.offered(pair.connection, move)
  tracker.opened(pair.connection)
  return pair
}

function createNode (engine: FleetEngine, clock: FakeClock, options: LifecycleOptions): PlacesNode {
  const faulty = makeFaulty(engine, clock)
  const takes: PlacesNode['takes'] = []
  const watched = new Proxy(faulty.engine, {
    get: (target, name: keyof FleetEngine) => name !== 'take'
      ? target[name]
      : async (id: string, asked: readonly PlacesAsked[]) => {
        takes.push(asked)
        const given = await target.take(id, asked)
        // The answer comes a turn later, as from another process: other claims, and calls of other nodes, come between.
        await new Promise<void>((resolve) => { clock.setImmediate(resolve) })
        return node.answer === null ? given : await node.answer(given) as PlacesGiven[]
      }
  })
  const rig = createTracker({ heartbeat: false, backpressure: false, ...options, fleet: () => watched }, 'fatal', { clock, engine: watched })
  const node: PlacesNode = {
    ...rig,
    takes,
    answer: null,
    get frozen () { return faulty.fault === 'hang' },
    set frozen (frozen) { faulty.fault = frozen ? 'hang' : 'none' },
    get lag () { return faulty.lag },
    set lag (lag) { faulty.lag = lag },
    handshake: (owner, move) => admit(rig, owner, move),
    async connect (owner, move) {
      const pair = await settle(clock, node.handshake(owner, move))
      if (typeof pair === 'string') throw new Error(`refused: ${pair}`)
      return pair
    }
  }
  return node
}
