/**
 * Calls between this process and a forked child: `answer` in the child, `Child` here. A call is one message and its answer
 * another, matched by number.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** An object of methods that can be called from another process. Arguments and results are JSON. */
type Methods<T> = { [K in keyof T]: (...args: any[]) => unknown }

/** The same object, called from another process. */
export type Remote<T extends Methods<T>> = {
  [K in keyof T]: (...args: Parameters<T[K]>) => Promise<Awaited<ReturnType<T[K]>>>
}

interface Call { id: number, method: string, args: unknown[] }
interface Answer { id: number, value?: unknown, error?: string }

/** Longest time for an answer, milliseconds: a benchmark that hangs must end. */
const TIME_LIMIT = 180_000

/** In the child: answers calls until the parent disconnects, then ends the process. */
export function answer<T extends Methods<T>> (methods: T): void {
  process.on('message', ({ id, method, args }: Call) => {
    const reply = (answer: Answer) => { process.send?.(answer) }
    Promise.resolve()
      .then(() => methods[method as keyof T](...args))
      .then((value) => { reply({ id, value }) }, (error: Error) => { reply({ id, error: error.stack ?? String(error) }) })
  })
  process.on('disconnect', () => { process.exit() })
}

/** A forked program. */
export class Child<T extends Methods<T>> {
  readonly #process: ChildProcess
  readonly #name: string
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void, reject: (error: Error) => void }>()
  #lastId = 0
  /** Its methods. */
  readonly remote: Remote<T>

  /** Starts `file`, which must call `answer`. */
  constructor (file: string, args: string[] = []) {
    this.#name = file.split('/').slice(-2).join('/')
    this.#process = fork(file, args, {
      execArgv: ['--import', import.meta.resolve('../scripts/typescript.js'), '--expose-gc'],
      // Some peers would otherwise find the native code for masks in packages of others.
      env: { ...process.env, WS_NO_BUFFER_UTIL: '1', WS_NO_UTF_8_VALIDATE: '1', NODE_ENV: 'production' }
    })
    this.#process.on('message', ({ id, value, error }: Answer) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(value)
      else waiting?.reject(new Error(`${this.#name}: ${error}`))
    })
    this.#process.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${this.#name} ended (${code ?? signal})`))
      this.#waiting.clear()
    })
    this.remote = new Proxy({} as Remote<T>, { get: (_, method: string) => (...args: unknown[]) => this.#call(method, args) })
  }

  #call (method: string, args: unknown[]): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => { reject(new Error(`${this.#name}: no answer to ${method} in ${TIME_LIMIT} ms`)) }, TIME_LIMIT)
      const settled = () => { clearTimeout(timer) }
      this.#waiting.set(id, {
        resolve: (value) => { settled(); resolve(value) },
        reject: (error) => { settled(); reject(error) }
      })
      this.#process.send({ id, method, args } satisfies Call, (error) => {
        if (error === null) return
        this.#waiting.get(id)?.reject(error)
        this.#waiting.delete(id)
      })
    })
  }

  /** Tells it to end, as an orchestrator does, and waits until it has. Rejects if it ends in another way than with 0. */
  async terminate (): Promise<void> {
    const exited = once(this.#process, 'exit', { signal: AbortSignal.timeout(TIME_LIMIT) })
    this.#process.kill('SIGTERM')
    const [code, signal] = await exited
    if (code !== 0) throw new Error(`${this.#name} ended with ${code ?? signal}`)
  }

  /** Sends a signal: SIGSTOP freezes it, SIGCONT thaws it. */
  signal (name: NodeJS.Signals): void {
    this.#process.kill(name)
  }

  /** Ends it, and waits until it is gone. */
  async stop (): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }
}
