/**
 * Watched servers and their peers, each in a process of its own, and the comparison that most tests here make: the same
 * thing is done to a server with our heartbeat and to one with the recipe of the ws README.
 *
 * Time is counted in beats of the server's own: they do not pass while it stands still, and no test looks at a clock.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import { forkFixture } from '../helpers/child.ts'
import type { Child } from '../helpers/child.ts'
import type { Command as ClientsCommand, Report as ClientsReport } from './fixtures/clients.ts'
import type { Command, Group, Report, Rest, Spec } from './fixtures/server.ts'

const BEAT = 50

/** The group that clients are in unless a test says otherwise. */
export const HEALTHY = 'healthy'

const fixture = (name: string) => `../../heartbeat/fixtures/${name}`

/** A process that answers each command with one message. */
class Obedient<C> {
  readonly child: Child

  constructor (child: Child) {
    this.child = child
  }

  /** Sends a command without waiting for what it answers. */
  tell (command: C): void { this.child.process.send(command as object) }

  async ask<A> (command: C): Promise<A> {
    this.tell(command)
    return await this.child.message<A>()
  }
}

export class Server extends Obedient<Command> {
  readonly spec: Spec
  port = 0

  constructor (child: Child, spec: Spec) {
    super(child)
    this.spec = spec
  }

  /** Beats within which a dead peer is found. */
  get bound (): number { return this.spec.interval * (this.spec.maxMissed + 1) / BEAT }

  do (command: Command): Promise<unknown> { return this.ask(command) }

  /** Waits for so many beats. */
  beats (count: number): Promise<unknown> { return this.ask({ do: 'wait', beats: count }) }

  /** Waits for so many intervals of running time. */
  intervals (count: number): Promise<unknown> { return this.beats(Math.ceil(count * this.spec.interval / BEAT)) }

  /** Waits until so many of a group have ended. */
  ended (group: string, count: number): Promise<unknown> { return this.ask({ do: 'ended', group, count }) }

  async report (): Promise<Report> { return await this.ask<Report>({ do: 'report' }) }

  async group (name: string): Promise<Group> {
    const { groups } = await this.report()
    assert.ok(groups[name], `no peer was in group ${name}: ${JSON.stringify(groups)}`)
    return groups[name]
  }

  /** Freezes the server just after pings have left, for at least `time` milliseconds, and `meanwhile` runs. */
  async stopped (time: number, meanwhile = async () => {}): Promise<void> {
    await this.ask({ do: 'stop' })
    await sleep(time)
    await meanwhile()
    // The word came before the signal: once may be too early.
    const answer = this.child.message().then(() => true)
    do this.child.kill('SIGCONT')
    while (await Promise.race([answer, sleep(50)]) !== true)
  }

  /** Closes the server: nothing of it is left. */
  async end (): Promise<void> {
    assert.deepEqual(await this.ask<Rest>({ do: 'end' }), { connections: 0, leftovers: 0, tcp: 0 })
  }
}

export class Clients extends Obedient<ClientsCommand> {
  readonly count: number

  constructor (child: Child, count: number) {
    super(child)
    this.count = count
  }

  do (command: ClientsCommand): Promise<unknown> { return this.ask(command) }
  async report (): Promise<ClientsReport> { return await this.ask<ClientsReport>({ do: 'report' }) }
  freeze (): void { this.child.kill('SIGSTOP') }
  thaw (): void { this.child.kill('SIGCONT') }
}

/** A server in a process of its own. */
export async function serve (t: TestContext, spec: Spec): Promise<Server> {
  const server = new Server(forkFixture(t, fixture('server'), [JSON.stringify(spec)]), spec)
  server.port = (await server.child.message<{ port: number }>()).port
  return server
}

/** Clients in a process of their own, all connected. */
export async function connectAll (t: TestContext, server: Server, count: number, group = HEALTHY): Promise<Clients> {
  const clients = new Clients(forkFixture(t, fixture('clients'), [`ws://127.0.0.1:${server.port}/${group}`, String(count)]), count)
  await clients.child.message()
  return clients
}

/** How the peers of one server fared. */
export interface Outcome { killed: number, open: number, pings: number }

/** What two servers are compared under. */
export interface Comparison {
  interval?: number
  maxMissed?: number
  /** Clients of each. */
  count?: number
  /** Allowances that pass after it, for those to be found who are held for dead. @default 2 */
  allowances?: number
}

/**
 * Does the same to a server with our heartbeat and to one with the recipe, and tells how many healthy peers each has
 * killed when several allowances have passed. Checks that nothing else has ended them, and that ours went on pinging.
 */
export async function compare (
  t: TestContext,
  act: (server: Server, clients: Clients) => Promise<unknown>,
  { interval = 500, maxMissed = 2, count = 100, allowances = 2 }: Comparison = {}
): Promise<Record<'ours' | 'recipe', Outcome>> {
  const run = async (watch: 'plugin' | 'recipe'): Promise<Outcome> => {
    const server = await serve(t, { watch, interval, maxMissed })
    const clients = await connectAll(t, server, count)
    await server.intervals(1)
    await act(server, clients)
    const before = await server.report()
    await server.intervals(allowances * (maxMissed + 1))
    const { groups, pings } = await server.report()
    const { killed, open, causes, opened } = groups[HEALTHY]!
    assert.equal(opened, count)
    assert.equal(open + killed, count, `some ended otherwise: ${JSON.stringify(causes)}`)
    if (watch === 'plugin' && open > 0) assert.ok(pings > before.pings, 'the heartbeat has stopped')
    await server.end()
    return { killed, open, pings }
  }
  const [ours, recipe] = await Promise.all([run('plugin'), run('recipe')])
  t.diagnostic(`healthy peers killed, of ${count}: ours ${ours.killed}, recipe ${recipe.killed}; pings: ours ${ours.pings}, recipe ${recipe.pings}`)
  return { ours, recipe }
}

/** A dead peer is found within the bound, in running time; the slack is for a machine that is busy with something else. */
export function assertFoundInTime (server: Server, { beats }: Group): void {
  assert.ok(beats <= server.bound * 1.25 + 4, `found after ${beats} beats of ${server.bound}`)
}
