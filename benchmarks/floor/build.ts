/**
 * Builds floor.c with the first C compiler found, into a temporary folder that is removed when the process ends. Without a
 * compiler the benchmarks run without the floor.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SOURCE = join(import.meta.dirname, 'floor.c')
const COMPILERS = ['cc', 'gcc', 'clang']

/** Path of the built program; null if it cannot be built, with the reason on stderr. */
export function buildFloor (): string | null {
  if (process.platform !== 'linux') return skip(`it needs epoll, and this is ${process.platform}`)
  const compilers = process.env.CC === undefined ? COMPILERS : [process.env.CC]
  const compiler = compilers.find((name) => spawnSync(name, ['--version']).status === 0)
  if (compiler === undefined) return skip(`there is no C compiler (looked for ${compilers.join(', ')})`)

  const folder = mkdtempSync(join(tmpdir(), 'floor-'))
  process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  const program = join(folder, 'floor')
  const { status, stderr } = spawnSync(compiler, ['-O2', '-std=gnu17', '-Wall', '-Wextra', SOURCE, '-o', program], { encoding: 'utf8' })
  return status === 0 ? program : skip(`${compiler} could not build it\n${stderr}`)
}

function skip (why: string): null {
  console.error(`No kernel floor in this run: ${why}`)
  return null
}
