/**
 * Nodes of a fleet in processes of their own, on a real Redis, with clients that must stay connected whatever fails.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { forkFixture } from '../helpers/child.ts'
import type { Child, ForkOptions } from '../helpers/child.ts'
import type { Scope } from '../helpers/scope.ts'

/** What a node says of its fleet. */
export interface View {
  state: 'up' | 'down'
  nodes: string[]
  open: number
  count: { value: number, complete: boolean } | null
  ignored: number
}

/** Connections of each node. */
export const CONNECTIONS = 5

/** How a node is started. */
export interface NodeSettings extends ForkOptions {
  /** Where Redis is. */
  redis: { host?: string, port: number }
  /** Its clock is so many milliseconds ahead. */
  offset?: number
  /** Address on which it listens. */
  host?: string
}

export class FleetProcess {
  readonly id: string
  readonly child: Child
  readonly clients: WebSocket[] = []
  readonly #url: string

  private constructor (child: Child, id: string, url: string) {
    this.child = child
    this.id = id
    this.#url = url
  }

  /** Starts a node, which ends with the scope. */
  static async start (scope: Pick<Scope, 'after'>, { redis, offset = 0, host = '127.0.0.1', ...fork }: NodeSettings): Promise<FleetProcess> {
    const args = [redis.host ?? '127.0.0.1', redis.port, host, offset].map(String)
    const child = forkFixture(scope, 'fleet-node', args, fork)
    const { id, port } = await child.message<{ id: string, port: number }>()
    const node = new FleetProcess(child, id, `ws://${host}:${port}`)
    // If the network goes with the node, they do not notice.
    scope.after(() => { for (const client of node.clients) client.terminate() })
    return node
  }

  /** Opens connections of an owner that all nodes have. */
  async connect (): Promise<void> {
    for (let i = 0; i < CONNECTIONS; i++) {
      const client = new WebSocket(`${this.#url}/?owner=shared`).on('error', () => {})
      this.clients.push(client)
      await once(client, 'open')
    }
  }

  async ask<T> (question: string): Promise<T> {
    this.child.process.send(question)
    return (await this.child.message<{ answer: T }>()).answer
  }

  async view (): Promise<View> { return await this.ask('view') }

  /** What it was told since this was asked last. */
  async events (): Promise<string[]> { return await this.ask('events') }

  /** Closes its application, and resolves when that has closed. */
  async leave (): Promise<void> {
    this.child.process.send('close')
    await this.child.message()
    this.child.process.disconnect()
  }
}

/** Resolves when each node is up, sees all of them and no other, and counts all connections. */
export async function agreed (all: readonly FleetProcess[]): Promise<View[]> {
  const expected = { state: 'up', nodes: all.map(({ id }) => id).sort(), open: CONNECTIONS, value: CONNECTIONS * all.length, complete: true }
  for (let tries = 0; ; tries++) {
    const views = await Promise.all(all.map((node) => node.view()))
    const seen = views.map(({ state, nodes, open, count }) => ({ state, nodes, open, value: count?.value, complete: count?.complete }))
    try {
      assert.deepEqual(seen, all.map(() => expected))
      return views
    } catch (error) {
      if (tries === 600) throw error
      await sleep(100)
    }
  }
}

/** Throws if a client of these nodes has lost its connection. */
export async function assertConnected (all: readonly FleetProcess[]): Promise<void> {
  await Promise.all(all.flatMap(({ clients }) => clients).map(async (client) => {
    assert.equal(client.readyState, WebSocket.OPEN)
    client.send('still there?')
    assert.equal(String((await once(client, 'message'))[0]), 'echo still there?')
  }))
}

/** Throws if a node was told that another, or an owner, has gone. */
export async function assertNotGone (all: readonly FleetProcess[]): Promise<void> {
  for (const node of all) assert.deepEqual((await node.events()).filter((event) => /lost|left|offline/.test(event)), [])
}

/** Resolves when the others neither see a node nor count its connections. */
export async function lost ({ id }: FleetProcess, others: readonly FleetProcess[]): Promise<void> {
  const isGone = ({ nodes, count }: View) => !nodes.includes(id) && count?.value === CONNECTIONS * others.length
  while (!(await Promise.all(others.map((node) => node.view()))).every(isGone)) await sleep(100)
}

/** Resolves when the engine of these nodes does not answer, for any of them. */
export async function down (all: readonly FleetProcess[]): Promise<void> {
  for (const node of all) while ((await node.view()).state === 'up') await sleep(50)
}
