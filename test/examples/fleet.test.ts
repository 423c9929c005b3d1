/**
 * examples/fleet: the script without containers does what the compose file does, and the compose file names what is there.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { parse } from 'yaml'
import { TYPESCRIPT } from '../helpers/child.ts'
import { missing } from '../helpers/optional.ts'

const FOLDER = join(import.meta.dirname, '../../examples/fleet')

test('two nodes behind nginx: users are found, a message reaches both nodes, and a node leaves without a close event', { skip: missing('redis') || missing('nginx') }, async (t) => {
  const child = spawn(process.execPath, [...TYPESCRIPT, join(FOLDER, 'main.ts')], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => { child.kill() })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
  const [code] = await once(child, 'close') as [number]
  assert.equal(code, 0, output)
  assert.equal(output.match(/reads "ada: hello"/g)?.length, 6, output)
  assert.match(output, /has ended with 0; close events that the clients have seen: 0/)
  assert.match(output, /"value":1,"complete":true,"missing":\[\]/)
  assert.match(output, /the client of ada reads 3003/)
})

test('the compose file mounts and runs what is there, and nginx knows its nodes', () => {
  const { services } = parse(readFileSync(join(FOLDER, 'compose.yml'), 'utf8'), { merge: true }) as { services: Record<string, { command?: string, volumes?: string[] }> }
  assert.deepEqual(Object.keys(services), ['install', 'one', 'two', 'nginx', 'redis'])
  assert.ok(existsSync(join(FOLDER, '../..', services['one']!.command!.split(' ').at(-1)!)))
  for (const mount of services['nginx']!.volumes!) assert.ok(existsSync(join(FOLDER, mount.split(':')[0]!)), mount)
  const nginx = readFileSync(join(FOLDER, 'nginx.conf'), 'utf8')
  for (const node of ['one', 'two']) assert.match(nginx, new RegExp(`server ${node}:3000`))
})
