/**
 * Installs the packages of this folder where they are absent or older than the lock file.
 */
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = import.meta.dirname

/** Runs `npm ci` in this folder, unless that was done since the lock file changed. Throws if it fails. */
export function install (): void {
  // npm writes this file last.
  if (modifiedAt('node_modules/.package-lock.json') >= modifiedAt('package-lock.json')) return
  console.error('Installing the packages of benchmarks/ …')
  // A string for the shell: npm is npm.cmd on Windows. None of them needs its install script.
  const { status } = spawnSync('npm ci --no-audit --no-fund --ignore-scripts --prefer-offline --loglevel=error', { cwd: FOLDER, shell: true, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error('npm ci has failed in benchmarks/')
}

/** Epoch milliseconds; 0 if there is no such file. */
function modifiedAt (path: string): number {
  return statSync(join(FOLDER, path), { throwIfNoEntry: false })?.mtimeMs ?? 0
}
