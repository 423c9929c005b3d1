/**
 * A primary of Redis, its replica, and a Sentinel that promotes the replica when the primary is gone. They end with the test.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Child, run } from './child.ts'
import { freePort } from './free-port.ts'
import { locate } from './optional.ts'
import { startRedis } from './redis.ts'
import type { RedisServer } from './redis.ts'

/** Name of the primary for the Sentinel. */
const NAME = 'main'
/** Time after which the Sentinel takes a primary that does not answer for gone, milliseconds. */
const DOWN_AFTER = 500

export interface Failover {
  readonly primary: RedisServer
  readonly replica: RedisServer
  /** Options of a client of ioredis that asks the Sentinel. */
  readonly options: { sentinels: Array<{ host: string, port: number }>, name: string }
  /** Resolves when the replica is the primary. */
  promoted (): Promise<void>
}

export async function startSentinel (t: TestContext): Promise<Failover> {
  const primary = await startRedis(t)
  const replica = await startRedis(t, { replicaOf: primary.options.port })
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'sentinel-'))
  t.after(() => { rmSync(folder, { recursive: true, force: true }) })
  // It writes what it learns to this file.
  const file = join(folder, 'sentinel.conf')
  writeFileSync(file, `port ${port}
bind 127.0.0.1
dir ${folder}
sentinel monitor ${NAME} 127.0.0.1 ${primary.options.port} 1
sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER}
sentinel failover-timeout ${NAME} 10000
`)
  const sentinel = new Child(run(t, locate('redis')!, [file, '--sentinel']))
  const said = async (text: string): Promise<void> => {
    while (!sentinel.stdout.includes(text)) {
      if (sentinel.process.exitCode !== null) throw new Error(`the Sentinel has ended: ${sentinel.stdout}`)
      await sleep(20)
    }
  }
  await said('+slave slave')
  return { primary, replica, options: { sentinels: [{ host: '127.0.0.1', port }], name: NAME }, promoted: () => said('+switch-master') }
}
