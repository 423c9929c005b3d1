// Runs test/**/*.test.ts with node:test, on whichever Node runs this script.
//
//   npm run test:unit                                    all
//   npm run test:unit -- track                           one folder of test/
//   npm run test:unit -- test/ws drain/pace              files whose path contains one of these
//   npm run test:unit -- !test/faults                    all but those whose path contains it
//   npm run test:unit -- drain --test-name-pattern=slow  flags go to node
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, normalize } from 'node:path'
import './typescript.js'

process.chdir(join(import.meta.dirname, '..'))
const { printMissing } = await import('../test/helpers/optional.ts')

const folders = readdirSync('test', { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name)
const flags = process.argv.slice(2).filter((argument) => argument.startsWith('-'))
const parts = process.argv.slice(2).filter((argument) => !argument.startsWith('-')).map((part) => folders.includes(part) ? `test/${part}/` : part)
const wanted = parts.filter((part) => !part.startsWith('!')).map(normalize)
const unwanted = parts.filter((part) => part.startsWith('!')).map((part) => normalize(part.slice(1)))

// Begun first, for they take longest: otherwise one of them goes on alone at the end.
const LONG = ['simulation', 'heartbeat', 'process', 'attacks', 'docs', 'performance'].map((folder) => join('test', folder))
const isLong = (file) => LONG.some((folder) => file.startsWith(folder))

// Listed here, for Node 20 does not expand a quoted glob, and no shell expands ** on every platform.
const files = readdirSync('test', { recursive: true })
  .map((file) => join('test', file))
  .filter((file) => file.endsWith('.test.ts') && !file.includes('node_modules'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .filter((file) => !unwanted.some((part) => file.includes(part)))
  .sort((a, b) => Number(isLong(b)) - Number(isLong(a)) || (a < b ? -1 : 1))

if (files.length === 0) {
  console.error(`No test file matches: ${wanted.join(' ') || 'test/**/*.test.ts'}`)
  process.exit(1)
}

console.log(`Node ${process.version}, ${files.length} test files`)
printMissing(files)

const { status } = spawnSync(process.execPath, [
  // Absolute: programs that tests start in other folders inherit these.
  '--import', import.meta.resolve('./typescript.js'),
  '--import', import.meta.resolve('./watchdog.js'),
  '--test',
  '--test-reporter=spec',
  // Many of them wait most of their time.
  `--test-concurrency=${2 * availableParallelism()}`,
  ...flags,
  ...files
], { stdio: 'inherit' })

process.exit(status ?? 1)
