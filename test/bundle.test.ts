/**
 * A bundler renames functions and classes: bundled and minified, a server behaves as from its source.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { TYPESCRIPT } from './helpers/child.ts'

const execute = promisify(execFile)
/** A server that behaves otherwise may never end. */
const TIME_LIMIT = 60_000
const ENTRY = fileURLToPath(new URL('fixtures/bundled.ts', import.meta.url))

test('bundled and minified, a server behaves as from its source', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bundle-'))
  t.after(() => { rmSync(folder, { recursive: true }) })
  const run = async (...args: string[]) => {
    const { stdout } = await execute(process.execPath, args, { timeout: TIME_LIMIT })
      // Node prints the line that has thrown, which is the whole program.
      .catch(({ stderr, signal }: { stderr: string, signal: string | null }) => { throw new Error(`${signal ?? ''} ${stderr.slice(-1_000)}`) })
    return JSON.parse(stdout) as Record<string, unknown>
  }
  const bundled = async (minify: boolean) => {
    const outfile = join(folder, `${minify}.cjs`)
    await build({ entryPoints: [ENTRY], outfile, bundle: true, minify, platform: 'node', format: 'cjs', logLevel: 'error' })
    return run(outfile)
  }
  const source = await run(...TYPESCRIPT, ENTRY)
  assert.deepEqual({ own: source.own, hangs: source.hangs, throws: source['/throws'], stream: source['/stream'], late: source.late, closed: source.closed }, {
    own: '4000 own', hangs: 503, throws: '1011 internal error', stream: '1011 internal error', late: 503, closed: '1012 service restart; retry=1000'
  })
  assert.deepEqual(await bundled(false), source)
  assert.deepEqual(await bundled(true), source)
})
