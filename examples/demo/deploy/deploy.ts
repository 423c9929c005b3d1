// One deploy of the second act: readers behind a balancer, the server they are connected to, and the server that takes over.
// main.ts runs three of them at the same time.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Child, Children, Exit } from '../children.ts'
import type { ReaderCounts } from '../protocol.ts'

/** A message to all readers every so many milliseconds. */
const publishEvery = 200
/** Traffic before the deploy and after the last reader is back, and time for replies at the end, milliseconds. */
const calm = 1_500

/** What is deployed, and to whom. */
export interface Contender {
  name: string
  short: string
  /** The program of the server. */
  server: string
  /** The readers use the client class of this library. */
  lifecycle: boolean
}

export interface DeployOutcome {
  name: string
  lifecycle: boolean
  /** Messages that were published. */
  published: number
  counts: ReaderCounts
  /** The end of the old server; milliseconds after the signal. */
  exit: Exit & { after: number }
}

export class Deploy {
  readonly contender: Contender
  /** What the readers have reported last. */
  seen = { open: 0, closes: 0 }
  #children: Children
  #readers: number
  #servers: Child[] = []
  #published = 0

  constructor (children: Children, contender: Contender, readers: number) {
    this.#children = children
    this.contender = contender
    this.#readers = readers
  }

  async run (): Promise<DeployOutcome> {
    const { name, short, lifecycle } = this.contender
    const balancer = this.#children.fork(`the balancer of ${short}`, './deploy/balancer.ts')
    const readers = this.#children.fork(`the readers of ${short}`, './deploy/readers.ts')
    readers.listen((report) => { if (report.type === 'reading') this.seen = report })
    const { port } = await balancer.next('listening')
    const old = await this.#serve(balancer)
    readers.tell({ type: 'read', port, readers: this.#readers, lifecycle })
    await readers.next('connected')

    const publisher = setInterval(() => this.#publish(), publishEvery)
    try {
      readers.tell({ type: 'talk' })
      await sleep(calm)
      await this.#serve(balancer)
      const start = performance.now()
      old.terminate()
      const exit = { ...await old.exited, after: performance.now() - start }
      this.#servers.shift()
      readers.tell({ type: 'await connections' })
      await readers.next('connected')
      await sleep(calm)
      readers.tell({ type: 'stop talking' })
      clearInterval(publisher)
      await sleep(calm)
      const counted = readers.next('counted')
      readers.tell({ type: 'count', published: this.#published })
      const { counts } = await counted
      return { name, lifecycle, published: this.#published, counts, exit }
    } finally {
      clearInterval(publisher)
      for (const child of [balancer, readers, ...this.#servers]) child.kill()
    }
  }

  /** Starts a server. When it listens, the balancer passes new connections to it. */
  async #serve (balancer: Child): Promise<Child> {
    const server = this.#children.fork(`the server of ${this.contender.short}`, this.contender.server)
    this.#servers.push(server)
    const { port } = await server.next('listening')
    balancer.tell({ target: port })
    return server
  }

  #publish (): void {
    const news = String(++this.#published)
    for (const server of this.#servers) server.tell({ news })
  }
}
