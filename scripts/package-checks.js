// Checks the tarball that npm would publish: what is in it, its entry points (publint) and its types (attw).
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const ALLOWED = [/^dist\/.+\.(js|d\.ts)$/, /^dist\/client\/\w+\.(mjs|d\.mts)$/, /^dist\/package\.json$/, /^docs\/.+\.(md|svg|png)$/, /^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/]

/** What a page loads for the client, gzipped, bytes. */
const MAX_CLIENT = 3_250

const folder = mkdtempSync(join(tmpdir(), 'package-checks-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

// --ignore-scripts: prepack would build again, and its output would end up in the JSON.
const [packed] = JSON.parse(execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { encoding: 'utf8' }))
const tarball = join(folder, packed.filename)
const files = packed.files.map(({ path }) => path)
console.log(`${packed.filename}: ${files.length} files, ${packed.size} bytes packed, ${packed.unpackedSize} unpacked`)

const client = gzipSync(readFileSync('dist/client/index.mjs'), { level: 9 }).length
console.log(`dist/client/index.mjs: ${client} bytes gzipped`)

const problems = [
  ...client > MAX_CLIENT ? [`dist/client/index.mjs has ${client} bytes gzipped, at most ${MAX_CLIENT}`] : [],
  ...files.filter((file) => !ALLOWED.some((pattern) => pattern.test(file))).map((file) => `should not be in the package: ${file}`),
  ...['dist/index.js', 'dist/index.d.ts', 'dist/package.json', 'README.md', 'CHANGELOG.md', 'LICENSE'].filter((file) => !files.includes(file)).map((file) => `not in the package: ${file}`)
]
for (const problem of problems) console.error(problem)

const tools = [['publint', 'run', tarball, '--strict'], ['attw', tarball, '--no-summary']]
const failed = tools.filter(([tool, ...args]) => spawnSync(join('node_modules', '.bin', tool), args, { stdio: 'inherit' }).status !== 0)

process.exitCode = problems.length + failed.length > 0 ? 1 : 0
