/**
 * A network that is cut without a word: clients in a network namespace whose packets are dropped from one moment on.
 * Needs Linux, root, and the programs ip and iptables; skipped, with a word, where they are not.
 */
import assert from 'node:assert/strict'
import { fork, spawnSync } from 'node:child_process'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Child, TYPESCRIPT } from '../helpers/child.ts'
import { assertFoundInTime, Clients, connectAll, HEALTHY, serve } from './rig.ts'

const COUNT = 20
const CLIENTS = fileURLToPath(new URL('./fixtures/clients.ts', import.meta.url))

const id = process.pid
const NAMESPACE = `heartbeat-${id}`
/** Both ends of the cable; the network is one for measurements (RFC 2544), never routed. */
const [NEAR, FAR] = [`hb${id}a`, `hb${id}b`]
const NETWORK = `198.18.${id & 255}`

const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`

/** Runs a command; returns what it complains of, or false when it succeeded. */
function failure (command: string, ...args: string[]): string | false {
  const { status, error, stderr } = spawnSync(command, args, { env: { ...process.env, PATH }, encoding: 'utf8', timeout: 10_000 })
  return status !== 0 && `${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`
}

function run (command: string, ...args: string[]): void {
  assert.equal(failure(command, ...args), false)
}

const inside = (...command: string[]) => ['netns', 'exec', NAMESPACE, ...command]

function removeNamespace (): void {
  failure('ip', 'link', 'delete', NEAR)
  failure('ip', 'netns', 'delete', NAMESPACE)
}

/** Why packets cannot be dropped on this machine, or false. */
function unable (): string | false {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  if (process.getuid?.() !== 0) return 'a network namespace needs root'
  for (const program of ['ip', 'iptables']) {
    if (failure(program, '-V') !== false) return `${program} is not installed (apt-get install iproute2 iptables)`
  }
  try {
    const reason = failure('ip', 'netns', 'add', NAMESPACE) || failure('ip', ...inside('iptables', '-A', 'INPUT', '-j', 'ACCEPT'))
    return reason && `this machine permits no network namespace of ours: ${reason}`
  } finally {
    removeNamespace()
  }
}

/** A namespace with a cable to it. */
function addNamespace (t: TestContext): void {
  t.after(removeNamespace)
  // Also when this process is ended before the test is.
  process.once('exit', removeNamespace)
  run('ip', 'netns', 'add', NAMESPACE)
  run('ip', 'link', 'add', NEAR, 'type', 'veth', 'peer', 'name', FAR, 'netns', NAMESPACE)
  run('ip', 'address', 'add', `${NETWORK}.1/30`, 'dev', NEAR)
  run('ip', 'link', 'set', NEAR, 'up')
  run('ip', ...inside('ip', 'address', 'add', `${NETWORK}.2/30`, 'dev', FAR))
  run('ip', ...inside('ip', 'link', 'set', FAR, 'up'))
}

async function connectInside (t: TestContext, port: number, group: string): Promise<Clients> {
  const child = fork(CLIENTS, [`ws://${NETWORK}.1:${port}/${group}`, String(COUNT)], {
    execPath: 'ip',
    execArgv: [...inside(process.execPath), ...TYPESCRIPT],
    env: { ...process.env, PATH },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  t.after(() => { child.kill('SIGKILL') })
  const clients = new Clients(new Child(child), COUNT)
  await clients.child.message()
  return clients
}

test('peers behind a network that is cut are found in time, and those elsewhere stay', { skip: unable() }, async (t) => {
  const server = await serve(t, { watch: 'plugin', interval: 400, maxMissed: 2, host: '0.0.0.0' })
  addNamespace(t)
  const [, far] = await Promise.all([connectAll(t, server, COUNT), connectInside(t, server.port, 'cut')])
  // Its network works until it is cut.
  await server.intervals(4)
  assert.equal((await server.group('cut')).open, COUNT)
  for (const chain of ['INPUT', 'OUTPUT']) run('ip', ...inside('iptables', '-A', chain, '-j', 'DROP'))
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
