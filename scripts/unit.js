// Runs test/**/*.test.ts with node:test, on whichever Node runs this script.
//
//   npm run test:unit                                    all
//   npm run test:unit -- track                           one folder of test/
//   npm run test:unit -- test/ws drain/pace              files whose path contains one of these
//   npm run test:unit -- !test/faults                    all but those whose path contains it
//   npm run test:unit -- drain --test-name-pattern=slow  flags go to node
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join, normalize, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import './typescript.js'

process.chdir(join(import.meta.dirname, '..'))
const { printMissing } = await import('../test/helpers/optional.ts')

const folders = readdirSync('test', { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name)
const flags = process.argv.slice(2).filter((argument) => argument.startsWith('-'))
const parts = process.argv.slice(2).filter((argument) => !argument.startsWith('-')).map((part) => folders.includes(part) ? `test/${part}/` : part)
const wanted = parts.filter((part) => !part.startsWith('!')).map(normalize)
const unwanted = parts.filter((part) => part.startsWith('!')).map((part) => normalize(part.slice(1)))

// Files that take long, longest first: begun in this order, so that none of them goes on by itself at the end. Each is a process
// of its own; other files share one for each folder, for most of them take less time than a process takes to start.
const LONG = [
  'simulation/simulation', 'process/signals', 'docs/code-blocks', 'heartbeat', 'performance', 'process', 'client/contract', 'attacks',
  'plugin/many-apps', 'examples', 'faults', 'ws/re', 'bound/broadcasts', 'bound/admission', 'move/handed-over', 'simulation'
].map((part) => join('test', part))
const rank = (file) => LONG.findIndex((part) => file.startsWith(part))

// Listed here, for Node 20 does not expand a quoted glob, and no shell expands ** on every platform.
const files = readdirSync('test', { recursive: true })
  .map((file) => join('test', file))
  .filter((file) => file.endsWith('.test.ts') && !file.includes('node_modules'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .filter((file) => !unwanted.some((part) => file.includes(part)))
  .sort()

if (files.length === 0) {
  console.error(`No test file matches: ${wanted.join(' ') || 'test/**/*.test.ts'}`)
  process.exit(1)
}

console.log(`Node ${process.version}, ${files.length} test files`)
printMissing(files)

const long = files.filter((file) => rank(file) >= 0).sort((a, b) => rank(a) - rank(b))
const folder = mkdtempSync(join(tmpdir(), 'unit-'))
process.on('exit', () => { rmSync(folder, { recursive: true, force: true }) })

const { status } = spawnSync(process.execPath, [
  // Absolute: programs that tests start in other folders inherit these.
  '--import', import.meta.resolve('./typescript.js'),
  '--import', import.meta.resolve('./watchdog.js'),
  '--test',
  '--test-reporter=spec',
  // Many of them wait most of their time.
  `--test-concurrency=${2 * availableParallelism()}`,
  ...flags,
  ...long,
  ...shared(files.filter((file) => rank(file) < 0))
], { stdio: 'inherit' })

process.exit(status ?? 1)

/** Makes one file for each folder, which imports those of these files that are in it. */
function shared (files) {
  const imports = new Map()
  for (const file of files) {
    const path = join(folder, `${dirname(file).replaceAll(sep, '-')}.test.mjs`)
    imports.set(path, `${imports.get(path) ?? ''}import '${pathToFileURL(file)}'\n`)
  }
  for (const [path, text] of imports) writeFileSync(path, text)
  return imports.keys()
}
