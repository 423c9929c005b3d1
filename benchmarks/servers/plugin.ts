/**
 * The plugin from the folder where it was built.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type sockets from '../../lib/index.ts'
import type { redisFleet } from '../../lib/fleet/redis/index.ts'
import type metrics from '../../lib/show/metrics/index.ts'

export async function loadPlugin (folder: string): Promise<typeof sockets> {
  const library = await import(pathToFileURL(join(folder, 'index.js')).href) as { default: typeof sockets }
  return library.default
}

export async function loadMetrics (folder: string): Promise<typeof metrics> {
  const entry = await import(pathToFileURL(join(folder, 'show/metrics/index.js')).href) as { default: typeof metrics }
  return entry.default
}

export async function loadRedisFleet (folder: string): Promise<typeof redisFleet> {
  const entry = await import(pathToFileURL(join(folder, 'fleet/redis/index.js')).href) as { redisFleet: typeof redisFleet }
  return entry.redisFleet
}
