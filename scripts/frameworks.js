// Runs test/frameworks/**/*.framework.ts: the plugin with other frameworks, and under client libraries (see the README there).
//
//   npm run test:frameworks                        all
//   npm run test:frameworks -- nestjs libraries/   files whose path contains one of these
//   npm run test:frameworks -- --test-name-pattern=drain   flags go to node
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const FOLDER = join(ROOT, 'test/frameworks')
/** For all files together, milliseconds: they take some seconds each. */
const TIME_LIMIT = 300_000

const flags = process.argv.slice(2).filter((argument) => argument.startsWith('-'))
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('-'))

const files = ['', 'libraries/'].flatMap((folder) => readdirSync(join(FOLDER, folder)).map((file) => folder + file))
  .filter((file) => file.endsWith('.framework.ts'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()

if (files.length === 0) {
  console.error(`No test file matches: ${wanted.join(' ') || 'test/frameworks/**/*.framework.ts'}`)
  process.exit(1)
}

install()
run('Types', process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', FOLDER])
console.log(`Node ${process.version}, ${files.length} test files`)
run('Tests', process.execPath, [
  '--import', import.meta.resolve('./typescript.js'),
  '--import', import.meta.resolve('./watchdog.js'),
  '--test',
  '--test-reporter=spec',
  `--test-concurrency=${Math.max(2, availableParallelism())}`,
  ...flags,
  ...files.map((file) => join(FOLDER, file))
], { cwd: ROOT })

/** `npm ci`, unless what is installed is what the two files say. */
function install () {
  const stamp = join(FOLDER, 'node_modules/.installed')
  const wanted = createHash('sha256')
    .update(readFileSync(join(FOLDER, 'package.json')))
    .update(readFileSync(join(FOLDER, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  // A string for the shell: npm is npm.cmd on Windows. Warnings are left out: some packages ask for a newer Node than they need.
  run('npm ci', 'npm ci --no-audit --no-fund --prefer-offline --loglevel=error', [], { cwd: FOLDER, shell: true })
  writeFileSync(stamp, wanted)
}

function run (title, command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { stdio: 'inherit', timeout: TIME_LIMIT, ...options })
  if (status === 0) return
  console.error(`FAILED: ${title}${signal ? `, stopped by ${signal}` : ''}${error ? ` (${error.message})` : ''}`)
  process.exit(1)
}
