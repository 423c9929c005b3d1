/**
 * Processes of a test's own: fixtures in TypeScript, with their output, their messages and their end.
 */
import assert from 'node:assert/strict'
import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { within } from './server.ts'
import type { LogLine } from './server.ts'
import type { Scope } from './scope.ts'

/** Milliseconds in which a process must say something, on a machine that is busy with something else; the watchdog has more. */
const PATIENCE = 240_000

/** Flags of a Node that runs TypeScript. */
export const TYPESCRIPT = ['--import', new URL('../../scripts/typescript.js', import.meta.url).href]

/** How a process ended. */
export interface Exit { code: number | null, signal: NodeJS.Signals | null }

export class Child {
  readonly process: ChildProcess
  /** Everything it wrote to stderr. */
  stderr = ''
  stdout = ''
  readonly exited: Promise<Exit>
  readonly #messages: unknown[] = []
  readonly #waiting: Array<(message: unknown) => void> = []

  constructor (child: ChildProcess) {
    this.process = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => { this.stdout += text })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.stderr += text })
    child.on('message', (message) => {
      const first = this.#waiting.shift()
      if (first === undefined) this.#messages.push(message)
      else first(message)
    })
    // 'close' and not 'exit': all output has been read.
    this.exited = once(child, 'close').then(([code, signal]) => ({ code, signal }) as Exit)
  }

  /** The next message over IPC; fails when the process ends first. */
  async message<T> (): Promise<T> {
    if (this.#messages.length > 0) return this.#messages.shift() as T
    return await this.#before(new Promise<unknown>((resolve) => { this.#waiting.push(resolve) }), 'a message') as T
  }

  /** Resolves when this is in its stderr; fails when the process ends first. */
  async noted (text: string): Promise<void> {
    while (!this.stderr.includes(text)) await this.#before(once(this.process.stderr!, 'data'), text)
  }

  async #before<T> (event: Promise<T>, what: string): Promise<T> {
    const ended = this.exited.then(({ code, signal }) => {
      throw new Error(`the process ended with ${code ?? signal} before ${what}: ${this.stderr}`)
    })
    return await within(PATIENCE, Promise.race([event, ended]), `the process is silent: no ${what}`)
  }

  /** Sends a signal. */
  kill (signal: NodeJS.Signals): void {
    assert.ok(this.process.kill(signal), `${signal} was not delivered: the process is gone`)
  }

  /** Its log lines, where it logs to stdout. */
  get logs (): LogLine[] {
    return this.stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine)
  }
}

/** How a fixture is forked. */
export interface ForkOptions {
  /** Program that runs Node, by the first of `execArgv`: of a namespace. */
  execPath?: string
  execArgv?: string[]
  env?: Record<string, string | undefined>
}

/** Forks a fixture of test/process/fixtures; it is killed when the test is over. */
export function forkFixture (t: Pick<Scope, 'after'>, name: string, args: string[] = [], { execPath = process.execPath, execArgv = [], env = {} }: ForkOptions = {}): Child {
  const child = fork(fileURLToPath(new URL(`../process/fixtures/${name}.ts`, import.meta.url)), args, {
    execPath,
    execArgv: [...execArgv, ...TYPESCRIPT],
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  t.after(() => { child.kill('SIGKILL') })
  return new Child(child)
}

/** Starts a program that ends with the test. */
export function run (t: TestContext, command: string, args: string[]) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return child
}
