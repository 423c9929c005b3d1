/**
 * A Redis of a test's own: `redis-server` on a free port, which stores nothing and ends with the test.
 *
 * A test that uses it has `skip: missing('redis')` (optional.ts).
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { TIMEOUTS } from '../../lib/fleet/redis/client.ts'
import type { Timeouts } from '../../lib/fleet/redis/client.ts'
import { makeCertificate } from './certificate.ts'
import { freePort } from './free-port.ts'
import { locate } from './optional.ts'

/** For an engine that waits as long as a busy machine takes. */
export const PATIENT: Timeouts = { ...TIMEOUTS, commandTimeout: 60_000, beatTimeout: 60_000, labelTimeout: 60_000, connectTimeout: 60_000 }

/** What a client needs to get in, as the default user. */
export interface RedisAddress {
  host: string
  port: number
  password?: string
  tls?: { rejectUnauthorized: false }
}

export interface RedisSettings {
  /** Password of the default user. */
  password?: string
  tls?: boolean
  /** Prefix of what a user `fleet` with the password `pass` may use, and nothing else. */
  userOf?: string
  /** A Cluster of this one node. */
  cluster?: boolean
  /** Port of the primary whose replica it is. */
  replicaOf?: number
}

/** What runs: it ends with this process at the latest. */
const running = new Set<ChildProcess>()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })

export class RedisServer {
  readonly options: RedisAddress
  readonly #folder: string
  readonly #args: string[]
  #process: ChildProcess | undefined
  #admin: Redis | undefined

  constructor (port: number, folder: string, { password, tls = false, userOf, cluster = false, replicaOf }: RedisSettings) {
    this.#folder = folder
    this.options = {
      host: '127.0.0.1',
      port,
      ...(password === undefined ? {} : { password }),
      ...(tls ? { tls: { rejectUnauthorized: false } } : {})
    }
    this.#args = [
      ...(tls ? ['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', ...certificateIn(folder)] : ['--port', String(port)]),
      '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder,
      ...(password === undefined ? [] : ['--requirepass', password]),
      ...(userOf === undefined ? [] : ['--user', 'fleet', 'on', '>pass', ...aclRules(userOf)]),
      ...(cluster ? ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] : []),
      ...(replicaOf === undefined ? [] : ['--replicaof', '127.0.0.1', String(replicaOf)])
    ]
  }

  /** Starts it, empty. */
  async start (): Promise<void> {
    const child = spawn(locate('redis')!, this.#args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#process = child
    running.add(child)
    child.once('close', () => { running.delete(child) })
    let output = ''
    const ready = new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (output.includes('Ready to accept connections')) resolve()
      })
    })
    const ended = once(child, 'close').then(() => { throw new Error(`redis-server has ended: ${output}`) })
    await Promise.race([ready, ended])
    ended.catch(() => {})
  }

  /** Sends a command as the default user. */
  async command (name: string, ...args: Array<string | number>): Promise<unknown> {
    this.#admin ??= new Redis({ ...this.options, lazyConnect: true }).on('error', () => {})
    return await this.#admin.call(name, ...args)
  }

  /** All keys, with their time to live, milliseconds; -1: for ever. */
  async keys (): Promise<Map<string, number>> {
    const names = await this.command('KEYS', '*') as string[]
    return new Map(await Promise.all(names.map(async (name) => [name, await this.command('PTTL', name) as number] as const)))
  }

  freeze (): void { this.#process?.kill('SIGSTOP') }

  thaw (): void { this.#process?.kill('SIGCONT') }

  /** Ends it with SIGKILL. */
  async kill (): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  }

  async close (): Promise<void> {
    this.#admin?.disconnect()
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Starts a Redis that ends with the test. */
export async function startRedis (t: TestContext, settings: RedisSettings = {}): Promise<RedisServer> {
  const server = await launchRedis(settings)
  t.after(() => server.close())
  return server
}

/** Starts a Redis that the caller closes. */
export async function launchRedis (settings: RedisSettings = {}): Promise<RedisServer> {
  const server = new RedisServer(await freePort(), mkdtempSync(join(tmpdir(), 'redis-')), settings)
  await server.start()
  if (settings.cluster === true) {
    await server.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)
    while (!(await server.command('CLUSTER', 'INFO') as string).includes('cluster_state:ok')) await sleep(20)
  }
  return server
}

/** Rules of a user for the prefix of a fleet, as docs/reference/fleet-redis.md has them. */
export function aclRules (prefix: string): string[] {
  return [
    `~${prefix}*`, `&${prefix}*`, '-@all', '+evalsha', '+eval', '+publish', '+subscribe', '+time',
    '+set', '+getdel', '+del', '+pexpire', '+pexpireat',
    '+hget', '+hmget', '+hset', '+hsetnx', '+hdel', '+hkeys', '+hgetall',
    '+sadd', '+srem', '+spop', '+zadd', '+zrem', '+zrange', '+zrangebyscore', '+zscore'
  ]
}

function certificateIn (folder: string): string[] {
  const { key, cert } = makeCertificate()
  writeFileSync(join(folder, 'key.pem'), key)
  writeFileSync(join(folder, 'cert.pem'), cert)
  return ['--tls-key-file', join(folder, 'key.pem'), '--tls-cert-file', join(folder, 'cert.pem')]
}
