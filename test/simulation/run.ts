/**
 * One run from its seed: a random schedule, then a drain, then everything is let go, and nothing may remain.
 */
import type { CloseCause } from '../../lib/base/close-codes.ts'
import { ACTIONS } from './actions.ts'
import { chooseHooks, chooseOptions, listenBadly } from './application.ts'
import { INVARIANTS } from './invariants/all.ts'
import type { Invariant } from './invariants/invariant.ts'
import { Random } from './random.ts'
import type { Sabotage } from './broken.ts'
import { TICK } from './time.ts'
import { World } from './world.ts'

/** Name of the invariant that no callback, no timer and no call of ours lets anything out. */
export const NOTHING_THROWS = 'nothing throws'

/** Longest time a run goes on after all are disconnected, milliseconds of the clock. */
const PATIENCE = 120_000

export interface RunOptions {
  sabotage?: Sabotage
  /** @default all */
  invariants?: readonly Invariant[]
}

export interface RunResult {
  seed: number
  /** Moments after which the invariants were looked at. */
  steps: number
  /** Simulated milliseconds. */
  time: number
  connections: number
  /** How many closed for which cause. */
  causes: Partial<Record<CloseCause, number>>
  breach: { invariant: string, message: string } | null
  /** The last of what happened, oldest first. */
  trace: string[]
}

/** Runs the simulation of a seed. */
export async function run (seed: number, { sabotage, invariants = INVARIANTS }: RunOptions = {}): Promise<RunResult> {
  const random = new Random(seed)
  const world: World = new World(random, chooseOptions(random, chooseHooks(random, () => world)), invariants, sabotage)
  const startedAt = world.clock.now()
  try {
    listenBadly(world)
    await live(world)
    await drain(world)
    await end(world)
  } catch (error) {
    world.violate(NOTHING_THROWS, (error as Error).stack ?? String(error))
  } finally {
    world.undo()
  }
  const { steps, clock, peers, breach, trace, causes } = world
  return { seed, steps, time: clock.now() - startedAt, connections: peers.size, causes, breach, trace }
}

/** Random things happen, and time passes between them. */
async function live (world: World): Promise<void> {
  const { random } = world
  for (let i = random.between(20, 120); i > 0 && world.breach === null; i--) {
    if (random.chance(0.6)) await act(world)
    else await pass(world)
  }
}

async function act (world: World): Promise<void> {
  const { random, live, peers } = world
  const action = random.weighted(ACTIONS)
  // Now and then one that has closed long ago: what is set on it must do nothing.
  const peer = random.pick([...random.chance(0.1) ? peers : live])
  if (peer === undefined && !action.alone) return
  world.note(`${action.alone ? '' : `${peer!.name} (${peer!.habit.name}) `}${action.name}`)
  // As a rule a request or a message does it.
  await world.serves(`request ${world.steps}`, () => action.act(world, peer!))
  await world.turn()
}

async function pass (world: World): Promise<void> {
  const { random, options: { settings: { heartbeat } } } = world
  const bound = heartbeat === false ? 500 : heartbeat.interval * (heartbeat.maxMissed + 1)
  await world.advance(random.chance(0.9) ? random.upTo(200) : random.upTo(bound))
}

/** The drain of a run, if it has one: the same things happen while it goes on. */
async function drain (world: World): Promise<void> {
  const { random, tracker, drain: state } = world
  if (random.chance(0.15)) return
  const trigger = random.pick(['close', 'drain', 'SIGTERM'] as const)
  if (random.chance(0.2)) tracker.preClose(() => (random.chance(0.3) ? Promise.reject(new Error('on purpose')) : world.job()))
  world.note(`drain starts: ${trigger}, ${world.options.plan.timeout} ms`)
  const report = tracker.startDrain(trigger)
  const until = world.clock.now() + PATIENCE
  while (state.doneAt === null && world.breach === null && world.clock.now() < until) {
    await world.turn()
    if (random.chance(0.25)) await act(world)
    else await world.advance(random.upTo(100))
    if (random.chance(0.05) && tracker.startDrain('close') !== report) world.violate('the drain ends every connection and reports once', 'there is a second drain')
    if (random.chance(0.02)) {
      world.note('drain is aborted')
      state.aborted = true
      tracker.abortDrain()
    }
  }
  if (random.chance(0.5)) await act(world)
}

/** All are disconnected, every promise settles, and nothing may be left. */
async function end (world: World): Promise<void> {
  const { tracker, live, peers, clock, schedule, unsettled, random } = world
  const until = clock.now() + PATIENCE
  world.note('end of the run: all are disconnected')
  world.over = true
  // Connections that wait to be announced are.
  await world.advance(random.between(200, 700))
  for (const { causes } of peers) causes.add('disconnected')
  tracker.disconnect('all')
  while (live.size > 0 && world.breach === null && clock.now() < until) await world.advance(100)
  schedule.clear()
  // What settles may begin something new.
  for (let rounds = 0; unsettled.size > 0 && rounds < 100; rounds++) {
    for (const settle of [...unsettled]) settle()
    await world.turn()
  }
  await world.advance(2 * TICK)
  tracker.close()
  if (world.breach !== null) return
  for (const { name, end: look } of world.invariants) {
    const message = look?.(world)
    if (message) world.violate(name, message)
  }
}
