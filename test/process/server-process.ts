/**
 * Processes with the servers of fixtures/server.ts, for tests that send them signals and errors.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import type { DrainReport } from '../../lib/index.ts'
import { forkFixture } from '../helpers/child.ts'
import type { Child } from '../helpers/child.ts'
import { assertConsistent, connectTo } from '../helpers/server.ts'
import type { TestClient } from '../helpers/server.ts'
import type { ServerSpec, Spec } from './fixtures/server.ts'

export const skip = process.platform === 'win32' && 'no signals'

export const SIGNALS = { signals: true }

export interface Running { child: Child, urls: string[] }

/** A process with these apps, all listening unless told otherwise. */
export async function run (t: TestContext, apps: ServerSpec[], rest: Omit<Spec, 'apps'> = {}, how: Parameters<typeof forkFixture>[3] = {}): Promise<Running> {
  const child = forkFixture(t, 'server', [JSON.stringify({ apps, ...rest })], how)
  const { ports } = await child.message<{ ports: number[] }>()
  return { child, urls: ports.map((port) => `ws://127.0.0.1:${port}/`) }
}

/** A process with one app, and a client of it. */
export async function runWithClient (t: TestContext, app: ServerSpec, ...rest: [rest?: Omit<Spec, 'apps'>, how?: Parameters<typeof forkFixture>[3]]): Promise<{ child: Child, client: TestClient }> {
  const { child, urls: [url] } = await run(t, [app], ...rest)
  return { child, client: await connectTo(t, url!) }
}

/** Asserts that the drain has closed the client, and how the process exited after it. */
export async function assertDrained (child: Child, client: TestClient, code = 0): Promise<void> {
  assert.equal((await client.closed).code, 1012)
  assert.deepEqual(await child.exited, { code, signal: null })
}

/** Begins a job of the server's, and returns when the server has it. */
export async function beginJob ({ socket }: TestClient): Promise<void> {
  socket.send('job')
  socket.ping()
  await once(socket, 'pong')
}

/** Ends the job that was begun last, and asserts that its answer arrives. */
export async function finishJob (child: Child, client: TestClient): Promise<void> {
  child.process.send('finish')
  assert.equal(await client.next(), 'done job')
}

/** Returns when the process has dealt with the signals that it was sent before, which come by another way than orders. */
export async function caughtUp (child: Child): Promise<void> {
  child.process.send('echo')
  assert.equal(await child.message(), 'echo')
}

/** What the process has noted, in order. */
export const lines = (child: Child) => child.stderr.trim().split('\n')

/** The report that an app of the process has logged. */
export function loggedReport (child: Child, index = 0): DrainReport {
  const found = child.logs.filter(({ name, msg }) => name === `app ${index}` && msg === 'sockets drained')
  assert.equal(found.length, 1, `app ${index} logged ${found.length} reports: ${child.stdout}`)
  const report = found[0]!.report as DrainReport
  assertConsistent(report)
  return report
}
