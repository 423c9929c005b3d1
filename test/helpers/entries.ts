/**
 * The entry points of the package, from the exports in package.json.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Target { types?: string, require?: { types: string } }

export interface Entry {
  /** What users import. */
  readonly name: string
  /** Its path below lib/ and dist/, without an extension. */
  readonly file: string
}

const { name, exports } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { name: string, exports: Record<string, Target | string> }

export const entries: Entry[] = Object.entries(exports).flatMap(([path, target]) => {
  const types = typeof target === 'string' ? undefined : target.types ?? target.require?.types
  return types === undefined ? [] : [{ name: name + path.slice(1), file: types.slice('./dist/'.length, -'.d.ts'.length) }]
})
