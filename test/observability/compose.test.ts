/**
 * The compose file and what it starts, for their form: files and ports that it names are there. Its containers are not started.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { parse } from 'yaml'
import { TYPESCRIPT } from '../helpers/child.ts'
import { locate, missing } from '../helpers/optional.ts'
import { until } from '../helpers/server.ts'
import { FOLDER } from './promql.ts'

const read = <T>(file: string) => parse(readFileSync(join(FOLDER, file), 'utf8')) as T

interface Compose { services: Record<string, { image: string, command?: string, ports: string[], volumes: string[] }>, volumes: Record<string, null> }

test('every file that the compose file mounts is there, and every volume is declared', () => {
  const { services, volumes } = read<Compose>('docker-compose.yml')
  assert.deepEqual(Object.keys(services), ['server', 'prometheus', 'grafana'])
  for (const { image, volumes: mounts } of Object.values(services)) {
    assert.match(image, /^[\w/-]+:v?\d/)
    for (const mount of mounts) {
      const [source] = mount.split(':') as [string]
      assert.ok(source.startsWith('.') ? existsSync(join(FOLDER, source)) : source in volumes, mount)
    }
  }
  const script = /node --import (\S+) (\S+)"/.exec(services.server!.command!)!.slice(1)
  for (const file of script) assert.ok(existsSync(join(FOLDER, '..', file)), file)
})

test('Prometheus scrapes the port that the server has, and Grafana asks Prometheus', () => {
  const { scrape_configs: [job] } = read<{ scrape_configs: Array<{ static_configs: Array<{ targets: string[] }> }> }>('prometheus.yml')
  assert.deepEqual(job!.static_configs[0]!.targets, ['server:9464'])
  assert.match(readFileSync(join(FOLDER, 'server.ts'), 'utf8'), /: 9464 \}/)
  const { datasources: [source] } = read<{ datasources: Array<{ url: string, type: string }> }>('grafana/datasource.yml')
  assert.deepEqual([source!.url, source!.type], ['http://prometheus:9090', 'prometheus'])
  const { providers: [provider] } = read<{ providers: Array<{ options: { path: string } }> }>('grafana/dashboards.yml')
  assert.ok(read<Compose>('docker-compose.yml').services.grafana!.volumes.some((mount) => mount.startsWith('./dashboard.json:') && mount.includes(provider!.options.path)))
})

test('promtool accepts the configuration of Prometheus', { skip: missing('promtool') }, () => {
  const { status, stdout, stderr } = spawnSync(locate('promtool')!, ['check', 'config', join(FOLDER, 'prometheus.yml')], { encoding: 'utf8', timeout: 60_000 })
  assert.equal(status, 0, stdout + stderr)
})

test('the server of the compose file starts, and ends on SIGTERM', { skip: process.platform === 'win32' && 'no SIGTERM' }, async (t) => {
  const child = spawn(process.execPath, [...TYPESCRIPT, join(FOLDER, 'server.ts')], { env: { ...process.env, HOST: '127.0.0.1', PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  t.after(() => { child.kill('SIGKILL') })
  let log = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { log += text })
  // The plugin listens for signals in the hook onListen, after this line, and before a request is answered.
  await until(() => log.includes('"msg":"drain: ') || child.exitCode !== null, 'the server')
  await fetch(/Server listening at (http:[^"]+)/.exec(log)![1]!)
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null], log)
})
