/**
 * The library as users install it: compiled once per run into a temporary folder. The sources are not measured, because a
 * TypeScript loader may change what it runs.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { transformSync } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')
/** Prefix of the names of the folders, in a `node_modules`. */
export const LIBRARY = '.ours-'
const folders = new Map<string, string>()

/** The folder with index.js, compiled from the current sources or from a commit. Built on the first call. */
export function libraryFolder (revision = ''): string {
  const known = folders.get(revision)
  if (known !== undefined) return known
  const folder = build(revision)
  folders.set(revision, folder)
  return folder
}

/**
 * Compiles a program of the benchmarks beside the library. The loader of TypeScript is a second thread on Node.js 20, and uses CPU time
 * of the process that is measured.
 */
export function programFile (source: string): string {
  const file = join(libraryFolder(), `${basename(dirname(source))}-${basename(source, '.ts')}.mjs`)
  writeFileSync(file, transformSync(readFileSync(source, 'utf8'), { loader: 'ts', format: 'esm' }).code)
  return file
}

function build (revision: string): string {
  // Below the repository, from where its packages are resolved; in a folder that every tool ignores.
  const parent = join(import.meta.dirname, 'node_modules')
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, LIBRARY))
  process.on('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  // Not in a `node_modules`, where TypeScript compiles to the module system that package.json names.
  const sources = revision === '' ? ROOT : mkdtempSync(join(tmpdir(), 'ours-'))
  if (revision !== '') {
    process.on('exit', () => { rmSync(sources, { recursive: true, force: true }) })
    symlinkSync(join(ROOT, 'node_modules'), join(sources, 'node_modules'), 'junction')
    const archive = execFileSync('git', ['archive', revision, 'lib', 'scripts', 'test/helpers', 'package.json', 'tsconfig.json', 'tsconfig.build.json'], { cwd: ROOT, maxBuffer: 1e8 })
    execFileSync('tar', ['x'], { cwd: sources, input: archive })
  }
  const script = join(sources, 'scripts/build.js')
  // Revisions without this script are compiled by tsc alone.
  const command = existsSync(script) ? [script, folder] : [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(sources, 'tsconfig.build.json'), '--outDir', folder]
  const { status } = spawnSync(process.execPath, command, { stdio: ['ignore', 2, 2] })
  if (!existsSync(join(folder, 'index.js'))) throw new Error('the library does not compile')
  // Type errors do not matter for a measurement in the middle of a change.
  if (status !== 0) console.error('The library has errors of types; what came out of it is measured all the same.')
  return folder
}
