// Runs the tests under the newest version of the next major of Fastify, pre-releases among them, in a temporary copy of the
// project: `npm install` in the project itself would change what everything else runs with.
//
//   npm run test:next-fastify                  types, conformance, all tests
//   npm run test:next-fastify -- test/plugin   arguments go to scripts/unit.js
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const UNCOPIED = ['.git', 'node_modules', 'dist', 'coverage']

const installed = JSON.parse(readFileSync(join(ROOT, 'node_modules/fastify/package.json'), 'utf8')).version
const next = Number.parseInt(installed) + 1
// npm sorts them.
const versions = JSON.parse(execFileSync('npm', ['view', 'fastify', 'versions', '--json'], { encoding: 'utf8' }))
const newest = versions.filter((version) => Number.parseInt(version) === next).at(-1)

if (newest === undefined) {
  console.log(`Skipped: the registry has no Fastify ${next}, not even a pre-release.`)
} else {
  console.log(`Node ${process.version}, fastify ${newest}`)
  const folder = mkdtempSync(join(tmpdir(), 'next-fastify-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  cpSync(ROOT, folder, { recursive: true, filter: (source) => !UNCOPIED.includes(basename(source)) })

  const node = (...args) => [process.execPath, args]
  const steps = {
    // Other plugins that tests use, and @fastify/websocket, name the current major alone as their peer.
    Install: ['npm', ['install', '--no-save', '--legacy-peer-deps', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', `fastify@${newest}`]],
    Types: node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'),
    Build: node('scripts/build.js'),
    Conformance: node('scripts/conformance.js'),
    Tests: node('scripts/unit.js', ...process.argv.slice(2))
  }
  const failed = Object.entries(steps).find(([, [command, args]]) => spawnSync(command, args, { cwd: folder, stdio: 'inherit' }).status !== 0)
  if (failed !== undefined) console.error(`FAILED with fastify ${newest}: ${failed[0]}`)
  process.exitCode = failed === undefined ? 0 : 1
}
