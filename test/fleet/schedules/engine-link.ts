/**
 * An engine that several processes reach over a network, and that can freeze, go away and come back empty.
 *
 * As with Redis: calls of one node are carried out in their order; one that a frozen engine has received is carried out when it goes
 * on, however late; a node that is cut off gets no answer and no message, and what it has sent may have arrived.
 */
import type { FleetEngine } from '../../../lib/fleet/engine.ts'
import { MemoryFleet } from '../../../lib/fleet/memory-engine.ts'
import type { FakeClock } from '../../helpers/fake-clock.ts'
import type { NodeClock } from './node-clock.ts'

export class SharedEngine {
  readonly memory: MemoryFleet
  readonly clock: FakeClock
  #state: 'up' | 'frozen' | 'gone' = 'up'
  /** Call → its last answer. */
  readonly #told = new Map<string, { number: number, told: Told }>()
  #answers = 0
  /** Calls that a frozen engine has received. */
  #received: Array<{ carryOut: () => void, lose: () => void }> = []

  constructor (clock: FakeClock) {
    this.clock = clock
    this.memory = new MemoryFleet(clock)
  }

  get state (): 'up' | 'frozen' | 'gone' { return this.#state }

  freeze (): void { this.#state = 'frozen' }

  clear (): void {
    this.memory.clear()
    this.#told.clear()
  }

  /** Ends: what it has received is lost. */
  stop (): void {
    this.#state = 'gone'
    for (const { lose } of this.#received.splice(0)) lose()
  }

  /** Goes on; after `stop` with what it has written to disk, which is all or nothing. */
  resume (empty: boolean): void {
    if (empty) this.clear()
    this.#state = 'up'
    for (const { carryOut } of this.#received.splice(0)) carryOut()
  }

  /** Carries out a call of `heard`: the last answer that the node has heard. What others have told since is told again. */
  async tell (call: string, heard: number | undefined, carryOut: () => Promise<Told>): Promise<{ number: number, told: Told }> {
    const told = { ...await carryOut() }
    const last = told.joined ? undefined : this.#told.get(call)
    if (last !== undefined && last.number !== heard) {
      if (last.told.joined) told.joined = true
      if (told.lost) told.lost = [...last.told.lost!, ...told.lost]
      // Of owners what is still so.
      const named = new Set([...told.online ?? [], ...told.offline ?? []])
      for (const what of ['offline', 'online'] as const) {
        if (told[what]) told[what] = [...last.told[what]!.filter((owner) => !named.has(owner) && this.#isOnline(owner) === (what === 'online')), ...told[what]]
      }
    }
    const answer = { number: ++this.#answers, told }
    this.#told.set(call, answer)
    return answer
  }

  #isOnline (owner: string): boolean {
    const { nodes, expectedBack } = this.memory.find('owner', owner)
    return nodes.length > 0 || expectedBack !== null
  }

  receive (carryOut: () => void, lose: () => void): void {
    if (this.#state === 'gone') lose()
    else if (this.#state === 'frozen') this.#received.push({ carryOut, lose })
    else carryOut()
  }
}

/** What an answer tells once. */
interface Told { joined?: boolean, lost?: readonly unknown[], offline?: readonly string[], online?: readonly string[] }

/** Time after which the client of an engine gives up a call, milliseconds: less than a beat has. */
const TIMEOUT = 1_500

/**
 * The connection of one node to the engine. As RedisEngine does, it says with each beat and each `label` which answer it has heard
 * last, and is told again what the others have told.
 */
export class EngineLink {
  /** Time of a message from here to there, milliseconds. */
  latency: number
  /** No call arrives, and no answer. */
  cut = false
  /** No message arrives. */
  deaf = false
  /** Calls without an answer. */
  pending = 0
  readonly engine: FleetEngine
  readonly #shared: SharedEngine
  readonly #clock: NodeClock
  /** Method → number of the last answer that was heard. */
  readonly #heard = new Map<string, number>()
  #lastArrival = 0
  #lastAnswer = 0

  constructor (shared: SharedEngine, clock: NodeClock, latency: number) {
    this.#shared = shared
    this.#clock = clock
    this.latency = latency
    const target = shared.memory.engine()
    this.engine = new Proxy(target, {
      get: (_target, name: keyof FleetEngine) => {
        if (name === 'handovers') return target.handovers
        return (...args: unknown[]) => {
          if (name === 'beat' || name === 'label') return this.#callAndTell(name, args[0] as string, () => Reflect.apply(target[name], target, args) as Promise<Told>)
          return this.#call(async () => {
            if (name !== 'listen') return await (Reflect.apply(target[name], target, args) as Promise<unknown>)
            const hear = args[1] as (message: string) => void
            return await target.listen(args[0] as string, (message) => { if (!this.deaf) this.#answer(() => { hear(message) }) })
          })
        }
      }
    })
  }

  async #callAndTell (name: string, node: string, carryOut: () => Promise<Told>): Promise<unknown> {
    const heard = this.#heard.get(name)
    const { number, told } = await this.#call(() => this.#shared.tell(`${name} ${node}`, heard, carryOut)) as { number: number, told: Told }
    this.#heard.set(name, number)
    return told
  }

  #call (carryOut: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { clock } = this.#shared
      this.pending++
      const timer = this.#clock.setTimeout(() => { this.pending--; reject(new Error('Command timed out')) }, TIMEOUT)
      const settle = (act: () => void): void => {
        this.#answer(() => {
          this.#clock.clearTimeout(timer)
          this.pending--
          act()
        })
      }
      if (this.cut) return
      this.#lastArrival = Math.max(this.#lastArrival, clock.now() + this.latency)
      clock.setTimeout(() => {
        this.#shared.receive(() => {
          carryOut().then((value) => { settle(() => { resolve(value) }) }, (error: Error) => { settle(() => { reject(error) }) })
        }, () => { settle(() => { reject(new Error('connection refused')) }) })
      }, this.#lastArrival - clock.now())
    })
  }

  #answer (arrive: () => void): void {
    const { clock } = this.#shared
    if (this.cut) return
    this.#lastAnswer = Math.max(this.#lastAnswer, clock.now() + this.latency)
    clock.setTimeout(() => { if (!this.cut) this.#clock.reach(arrive) }, this.#lastAnswer - clock.now())
  }
}
