// One half of the demo: a server, its crowd, and their counts. Both halves run the same steps at the same time, which
// main.ts starts.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Child, Children, Exit } from './children.ts'
import { crowd, type CrowdProcess, type DatabaseFigures, type Report, type Counts } from './protocol.ts'
import { addUp } from './counts.ts'

/** From SIGTERM to SIGKILL, milliseconds. Kubernetes allows 30 s; the demo allows more, to show what happens after that. */
const patience = 36_000

export interface Outcome {
  name: string
  clients: number
  counts: Counts
  database: DatabaseFigures & { closed: boolean }
  exit: Exit & { after: number, killed: boolean }
}

export class Side {
  readonly name: string
  readonly short: string
  /** Connections the server holds. */
  open = 0
  exit: Outcome['exit'] | undefined
  /** Resolves when each of the late clients was refused, or was admitted and has ended. */
  attempted!: Promise<unknown>
  #children: Children
  #file: string
  #server!: Child
  #port = 0
  #crowd: Array<{ child: Child, group: CrowdProcess }> = []
  #counts = new Map<Child, Counts>()
  #database: Outcome['database'] = { acquired: 0, released: 0, closed: false }

  constructor (children: Children, name: string, short: string, file: string) {
    this.#children = children
    this.name = name
    this.short = short
    this.#file = file
  }

  /** What the whole crowd has seen so far. */
  get counts (): Counts {
    return addUp(this.#counts.values())
  }

  /** Starts the server and the crowd processes. Resolves when all are ready. */
  async start (): Promise<void> {
    this.#server = this.#children.fork(`the server on ${this.name}`, this.#file)
    this.#server.listen((report) => this.#onReport(this.#server, report))
    this.#crowd = crowd.map((group) => {
      const child = this.#children.fork(`the ${group.name} crowd of ${this.name}`, './crowd.ts')
      child.listen((report) => this.#onReport(child, report))
      return { child, group }
    })
    const [{ port }] = await Promise.all([
      this.#server.next('listening'),
      ...this.#crowd.map(({ child }) => child.next('loaded'))
    ])
    this.#port = port
  }

  async connect (): Promise<void> {
    await Promise.all(this.#crowd.map(({ child, group }) => {
      const connected = child.next('connected')
      child.tell({ type: 'connect', port: this.#port, clients: group.clients })
      return connected
    }))
  }

  /** Lets the busy clients start their jobs. */
  startJobs (): void {
    for (const { child, group } of this.#crowd) if (group.clients.busy) child.tell({ type: 'work' })
  }

  freeze (): void {
    for (const { child, group } of this.#crowd) if (group.clients.frozen) child.signal('SIGSTOP')
  }

  /** Sends SIGTERM, starts the late clients, and waits for the server to exit. */
  async shutDown (): Promise<void> {
    const start = performance.now()
    this.#server.terminate()
    this.attempted = Promise.all(this.#crowd.filter(({ group }) => group.connectsLate).map(({ child }) => {
      const attempted = child.next('attempted')
      child.tell({ type: 'connect late' })
      return attempted
    }))

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

  /** Wakes the frozen clients, lets all clients read what is left, and collects the last counts. */
  async finish (): Promise<Outcome> {
    await Promise.all(this.#crowd.map(async ({ child, group }) => {
      const finished = child.next('finished')
      if (group.clients.frozen) {
        child.signal('SIGCONT')
        await sleep(100)
      }
      child.tell({ type: 'finish' })
      await finished
    }))
    const clients = this.#crowd.flatMap(({ group }) => Object.values(group.clients)).reduce((sum, n) => sum + n, 0)
    return { name: this.name, clients, counts: this.counts, database: this.#database, exit: this.exit! }
  }

  #onReport (child: Child, report: Report): void {
    switch (report.type) {
      case 'progress':
      case 'finished':
        this.#counts.set(child, report.counts)
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
