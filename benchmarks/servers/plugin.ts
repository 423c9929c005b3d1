/**
 * The plugin from the folder where it was built.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type sockets from '../../lib/index.ts'

export async function loadPlugin (folder: string): Promise<typeof sockets> {
  const library = await import(pathToFileURL(join(folder, 'index.js')).href) as { default: typeof sockets }
  return library.default
}
