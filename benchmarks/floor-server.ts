/**
 * The kernel's floor (floor/floor.c) as a server under test: translates the common control protocol to its lines on stdin and
 * stdout.
 */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { ServerProcess } from './candidates.ts'
import { buildFloor } from './floor/build.ts'
import { monotonicMicros } from './monotonic.ts'
import type { Remote } from './rpc.ts'
import type { Sample, ServerControl, ServerOptions } from './servers/control.ts'

/** Its answer to `stats`. */
interface Answer { cpuMicros: number, connections: number }

/** Path of the program; undefined until it is needed. */
let program: string | null | undefined

export class FloorServer implements ServerProcess, Remote<ServerControl> {
  #process: ChildProcessByStdio<Writable, Readable, null> | null = null
  #lines: AsyncIterator<string> | null = null
  #turn: Promise<unknown> = Promise.resolve()
  #beat: NodeJS.Timeout | null = null
  readonly remote = this

  async start ({ handler, heartbeat }: ServerOptions): Promise<{ port: number }> {
    program ??= buildFloor()
    if (program === null) throw new Error('it could not be built')
    const mode = handler === 'echo' ? ['echo', '0'] : typeof heartbeat === 'number' ? ['ping', '0'] : ['broadcast', '0', '64']
    this.#process = spawn(program, mode, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
    const { listening } = await this.#read<{ listening: number }>()
    if (typeof heartbeat === 'number') this.#beat = setInterval(() => { void this.#ask('ping') }, heartbeat)
    return { port: listening }
  }

  async sample (): Promise<Sample> {
    const { cpuMicros, connections } = await this.#ask('stats')
    return { cpu: cpuMicros, connections }
  }

  async broadcast (bytes: number): Promise<{ startedAt: number }> {
    const startedAt = monotonicMicros()
    await this.#ask(`broadcast ${bytes}`)
    return { startedAt }
  }

  async close (): Promise<{ startedAt: number, endedAt: number }> {
    const startedAt = monotonicMicros()
    await this.#ask('close')
    return { startedAt, endedAt: monotonicMicros() }
  }

  memory (): Promise<never> { return absent() }
  watch (): Promise<never> { return absent() }
  stalls (): Promise<never> { return absent() }
  profile (): Promise<never> { return absent() }
  profiled (): Promise<never> { return absent() }
  scrape (): Promise<never> { return absent() }

  async stop (): Promise<void> {
    if (this.#beat !== null) clearInterval(this.#beat)
    const child = this.#process
    if (child === null || child.exitCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  /** Sends one line and resolves with its answer, one after the other. */
  #ask (line: string): Promise<Answer> {
    const answer = this.#turn.then(() => {
      this.#process!.stdin.write(`${line}\n`)
      return this.#read<Answer>()
    })
    this.#turn = answer.catch(() => {})
    return answer
  }

  async #read<T> (): Promise<T> {
    const { value, done } = await this.#lines!.next()
    if (done === true) throw new Error('the floor has ended')
    return JSON.parse(value) as T
  }
}

function absent (): Promise<never> {
  return Promise.reject(new Error('the floor has no such thing'))
}
