/**
 * The library as its users get it: compiled, once a run, into a folder that is gone afterwards.
 *
 * Not the sources: a loader of TypeScript may change what it runs, and what is measured is what users install.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
/** How the names of the folders begin, in some `node_modules`. */
export const LIBRARY = '.ours-'
const folders = new Map<string, string>()

/** The folder with its index.js, of the sources as they are, or of a commit. Built on the first call. */
export function libraryFolder (revision = ''): string {
  const known = folders.get(revision)
  if (known !== undefined) return known
  const folder = build(revision)
  folders.set(revision, folder)
  return folder
}

function build (revision: string): string {
  // Below the repository, for its packages are looked up from there; in a folder that every tool leaves alone.
  const parent = join(import.meta.dirname, 'node_modules')
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, LIBRARY))
  process.on('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  const sources = revision === '' ? ROOT : join(folder, 'sources')
  if (revision !== '') {
    mkdirSync(sources)
    const archive = execFileSync('git', ['archive', revision, 'lib', 'scripts', 'package.json', 'tsconfig.json', 'tsconfig.build.json'], { cwd: ROOT, maxBuffer: 1e8 })
    execFileSync('tar', ['x'], { cwd: sources, input: archive })
  }
  const script = join(sources, 'scripts/build.js')
  // Revisions without this script are what the compiler makes of them.
  const command = existsSync(script) ? [script, folder] : [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(sources, 'tsconfig.build.json'), '--outDir', folder]
  const { status } = spawnSync(process.execPath, command, { stdio: ['ignore', 2, 2] })
  if (!existsSync(join(folder, 'index.js'))) throw new Error('the library does not compile')
  // Good enough for a measurement in the middle of a change.
  if (status !== 0) console.error('The library has errors of types; what came out of it is measured all the same.')
  return folder
}
