// Packs the package, installs it in an empty project, and uses it there as its users do (the files in test/packaging/).
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const TIME_LIMIT = 120_000

const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'packaging-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const run = (title, command, args) => {
  console.log(`\n${title}`)
  const { status, error } = spawnSync(command, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'], timeout: TIME_LIMIT })
  if (status !== 0) console.error(`FAILED: ${title}${error ? ` (${error.message})` : ''}`)
  return status === 0
}

cpSync(join(ROOT, 'test/packaging'), folder, { recursive: true })

// Builds first, by prepack. The name of the file is the last line that npm prints.
const tarball = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n').at(-1)
const companions = ['fastify', 'ws', 'typescript', '@types/node'].map((name) => `${name}@${{ ...dependencies, ...devDependencies }[name]}`)

const installed = run(`npm install ${tarball} ${companions.join(' ')}`, 'npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, tarball), ...companions])
const results = installed && [
  run('ES modules', process.execPath, ['use-esm.js']),
  run('CommonJS', process.execPath, ['--disable-warning=ExperimentalWarning', 'use-commonjs.cjs']),
  run('TypeScript, strict', process.execPath, ['node_modules/typescript/bin/tsc', '--project', '.'])
]

const passed = installed && results.every(Boolean)
console.log(passed ? '\nThe package can be installed and used.' : '\nThe package cannot be used as it is.')
process.exitCode = passed ? 0 : 1
