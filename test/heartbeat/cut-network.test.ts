/**
 * A network that is cut without a word: clients in a network namespace whose packets are dropped from one moment on.
 * Needs Linux, root, and the programs ip and iptables; skipped, with a word, where they are not.
 */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Child, TYPESCRIPT } from '../helpers/child.ts'
import { addNamespace, noNamespace } from '../helpers/namespace.ts'
import type { Namespace } from '../helpers/namespace.ts'
import { assertFoundInTime, Clients, connectAll, HEALTHY, serve } from './rig.ts'

const COUNT = 20
const CLIENTS = fileURLToPath(new URL('./fixtures/clients.ts', import.meta.url))

async function connectInside (t: TestContext, { near, fork: inside }: Namespace, port: number, group: string): Promise<Clients> {
  const child = fork(CLIENTS, [`ws://${near}:${port}/${group}`, String(COUNT)], {
    execPath: inside.execPath,
    execArgv: [...inside.execArgv, ...TYPESCRIPT],
    env: { ...process.env, ...inside.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  t.after(() => { child.kill('SIGKILL') })
  const clients = new Clients(new Child(child), COUNT)
  await clients.child.message()
  return clients
}

test('peers behind a network that is cut are found in time, and those elsewhere stay', { skip: noNamespace() }, async (t) => {
  const server = await serve(t, { watch: 'plugin', interval: 400, maxMissed: 2, host: '0.0.0.0' })
  const namespace = addNamespace(t, 'heartbeat')
  const [, far] = await Promise.all([connectAll(t, server, COUNT), connectInside(t, namespace, server.port, 'cut')])
  // Its network works until it is cut.
  await server.intervals(4)
  assert.equal((await server.group('cut')).open, COUNT)
  namespace.cut()
  await server.beats(1)
  await server.ended('cut', COUNT)
  const cut = await server.group('cut')
  await server.intervals(6)
  const healthy = await server.group(HEALTHY)
  t.diagnostic(`found ${JSON.stringify(cut.causes)}, the last after ${cut.beats} beats (bound ${server.bound}); healthy killed: ${healthy.killed}`)
  // Keep-alive of TCP may have been first.
  assert.equal((cut.causes.heartbeat ?? 0) + (cut.causes.network ?? 0), COUNT)
  assertFoundInTime(server, cut)
  assert.equal(healthy.open, COUNT)
  // They know nothing of it: no packet of theirs, and none to them, has come through.
  assert.equal((await far.report()).open, COUNT)
  await server.end()
})
