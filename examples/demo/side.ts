// One half of the demo: a server, its crowd, and what was seen of both. Both halves run the same steps at the
// same time; main.ts sets the pace.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Child, Children, Exit } from './children.ts'
import { crowd, type CrowdProcess, type DatabaseFigures, type Report, type Tally } from './protocol.ts'
import { addUp } from './tally.ts'

/** From SIGTERM to SIGKILL. Kubernetes allows 30 s; here a little more, to see what happens after them. */
const patience = 36_000

export interface Outcome {
  name: string
  clients: number
  tally: Tally
  database: DatabaseFigures & { closed: boolean }
  exit: Exit & { after: number, killed: boolean }
}

export class Side {
  readonly name: string
  readonly short: string
  /** Connections the server holds. */
  open = 0
  exit: Outcome['exit'] | undefined
  #children: Children
  #file: string
  #server!: Child
  #port = 0
  #crowd: Array<{ child: Child, cast: CrowdProcess }> = []
  #tallies = new Map<Child, Tally>()
  #database: Outcome['database'] = { acquired: 0, released: 0, closed: false }

  constructor (children: Children, name: string, short: string, file: string) {
    this.#children = children
    this.name = name
    this.short = short
    this.#file = file
  }

  /** What the whole crowd has seen up to now. */
  get tally (): Tally {
    return addUp(this.#tallies.values())
  }

  /** Starts the server and, beside it, the crowd processes; resolves when all are up. */
  async start (): Promise<void> {
    this.#server = this.#children.fork(`the server on ${this.name}`, this.#file)
    this.#server.listen((report) => this.#onReport(this.#server, report))
    this.#crowd = crowd.map((cast) => {
      const child = this.#children.fork(`the ${cast.name} crowd of ${this.name}`, './crowd.ts')
      child.listen((report) => this.#onReport(child, report))
      return { child, cast }
    })
    const [{ port }] = await Promise.all([
      this.#server.next('listening'),
      ...this.#crowd.map(({ child }) => child.next('loaded'))
    ])
    this.#port = port
  }

  async connect (): Promise<void> {
    await Promise.all(this.#crowd.map(({ child, cast }) => {
      const connected = child.next('connected')
      child.tell({ type: 'connect', port: this.#port, clients: cast.clients })
      return connected
    }))
  }

  /** Lets the busy start their jobs. */
  startJobs (): void {
    for (const { child, cast } of this.#crowd) if (cast.clients.busy) child.tell({ type: 'work' })
  }

  freeze (): void {
    for (const { child, cast } of this.#crowd) if (cast.clients.frozen) child.signal('SIGSTOP')
  }

  /** Sends SIGTERM and the newcomers, and waits for the server to exit. */
  async shutDown (): Promise<void> {
    const start = performance.now()
    this.#server.terminate()
    for (const { child, cast } of this.#crowd) if (cast.knocks) child.tell({ type: 'knock' })

    let killed = false
    const timer = setTimeout(() => {
      killed = true
      this.#server.signal('SIGKILL')
    }, patience)
    const exit = await this.#server.exited
    clearTimeout(timer)
    this.exit = { ...exit, after: performance.now() - start, killed }
    this.open = 0
  }

  /** Wakes the frozen, lets everybody read what is left to read, and collects the last figures. */
  async finish (): Promise<Outcome> {
    await Promise.all(this.#crowd.map(async ({ child, cast }) => {
      const finished = child.next('finished')
      if (cast.clients.frozen) {
        child.signal('SIGCONT')
        await sleep(100)
      }
      child.tell({ type: 'finish' })
      await finished
    }))
    const clients = this.#crowd.flatMap(({ cast }) => Object.values(cast.clients)).reduce((sum, n) => sum + n, 0)
    return { name: this.name, clients, tally: this.tally, database: this.#database, exit: this.exit! }
  }

  #onReport (child: Child, report: Report): void {
    switch (report.type) {
      case 'progress':
      case 'finished':
        this.#tallies.set(child, report.tally)
        break
      case 'open':
        this.open = report.open
        if (!this.#database.closed) this.#database = { ...report.database, closed: false }
        break
      case 'database closed':
        this.#database = { ...report.database, closed: true }
    }
  }
}
