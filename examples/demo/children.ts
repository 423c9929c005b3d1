// Every process the demo starts, from its fork to its end. A child that ends by itself breaks the run, its last errors are
// kept, and no child outlives the demo.

import { fork, type ChildProcess } from 'node:child_process'
import { hasSignals, type Order, type Report } from './protocol.ts'

/** How a process ended. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export class Child {
  readonly name: string
  readonly exited: Promise<Exit>
  /** Set before this process is told to end; until then its end is a fault. */
  mayExit = false
  #process: ChildProcess
  #errors = ''

  constructor (name: string, file: string, onFault: (fault: Error) => void) {
    this.name = name
    // execArgv is passed on, and with it the TypeScript loader.
    this.#process = fork(new URL(file, import.meta.url), { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-2_000)
    })
    this.#process.on('error', onFault)
    this.#process.on('message', (report: Report) => {
      if (report.type === 'broken') onFault(new Error(`${name}: ${report.why}`))
    })
    // 'close', not 'exit': by then all of stderr has been read.
    this.exited = new Promise((resolve) => {
      this.#process.on('close', (code, signal) => {
        resolve({ code, signal })
        if (!this.mayExit) {
          onFault(new Error(`${name} ended by itself (${signal ?? `exit code ${code}`})\n${this.#errors.trim()}`))
        }
      })
    })
  }

  tell (order: Order): void {
    // A process that has ended cannot be told anything; its end is seen above.
    this.#process.send(order, () => {})
  }

  listen (onReport: (report: Report) => void): void {
    this.#process.on('message', onReport)
  }

  /** Resolves with the next report of this type. */
  next<T extends Report['type']> (type: T): Promise<Extract<Report, { type: T }>> {
    return new Promise((resolve) => {
      const process = this.#process
      process.on('message', function onMessage (report: Report) {
        if (report.type !== type) return
        process.off('message', onMessage)
        resolve(report as Extract<Report, { type: T }>)
      })
    })
  }

  /** Tells the process to end as an orchestrator does. */
  terminate (): void {
    this.mayExit = true
    if (hasSignals) this.signal('SIGTERM')
    else this.#process.send('SIGTERM')
  }

  /** Sends SIGKILL, which ends a stopped process too. */
  kill (): void {
    this.mayExit = true
    this.signal('SIGKILL')
  }

  /** Sends a signal, unless the process is gone: its id may belong to another process by now. */
  signal (signal: NodeJS.Signals): void {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill(signal)
  }
}

export class Children {
  /** Rejects at the first fault of a child. */
  readonly fault: Promise<never>
  #children: Child[] = []
  #onFault!: (fault: Error) => void

  constructor () {
    this.fault = new Promise((_resolve, reject) => { this.#onFault = reject })
    this.fault.catch(() => {}) // Not awaited in every case.
    // Synchronous, so it also holds on process.exit() and on an uncaught error.
    process.once('exit', () => this.killAll())
  }

  fork (name: string, file: string): Child {
    const child = new Child(name, file, this.#onFault)
    this.#children.push(child)
    return child
  }

  killAll (): void {
    for (const child of this.#children) child.kill()
  }
}
