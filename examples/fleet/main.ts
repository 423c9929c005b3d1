// The same as compose.yml, without containers: a Redis, two nodes, nginx before them. Shows what the fleet knows, then stops one node
// and shows that its users stay online. Needs redis-server and nginx (Debian: apt-get install redis-server nginx-light).
//
//   node --import ./scripts/typescript.js examples/fleet/main.ts

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'
import { lifecycle } from '../../lib/client/index.ts'

const users = ['ada', 'ben', 'cleo', 'dan', 'eve', 'fay']
const folder = mkdtempSync(join(tmpdir(), 'fleet-'))
const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => { process.exit(1) })

const redisPort = await freePort()
const nginxPort = await freePort()
start(find('redis-server'), ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder])
await listening(redisPort)
const nodes = await Promise.all([startNode(), startNode()])
writeFileSync(join(folder, 'nginx.conf'), nginxConfiguration())
start(find('nginx'), ['-e', 'stderr', '-p', folder, '-c', 'nginx.conf'])
await listening(nginxPort)

const Socket = lifecycle(WebSocket)
const seen = { closes: [] as number[], messages: [] as string[] }
const sockets = await Promise.all(users.map(async (user) => {
  const socket = new Socket(`ws://127.0.0.1:${nginxPort}/chat?user=${user}`)
  socket.onclose = ({ code }) => { seen.closes.push(code) }
  await new Promise<void>((resolve) => { socket.onopen = () => { resolve() } })
  socket.onmessage = ({ data }) => { if (!String(data).startsWith('this is')) seen.messages.push(`${user} reads "${String(data)}"`) }
  return socket
}))

console.log('two nodes, and who is where:')
// A node hears of the other within two seconds, its beat.
await until(async () => (await ask('/nodes') as unknown[]).length === 2)
await showUsers()

sockets[0]!.send('hello')
await until(async () => seen.messages.length === users.length)
console.log(`\nada says hello, on all nodes:\n  ${seen.messages.join('\n  ')}`)

console.log('\none node gets SIGTERM; its clients move to the other:')
const stopped = nodes[0]!
stopped.kill('SIGTERM')
const [code] = await once(stopped, 'exit') as [number]
await until(async () => (await ask('/nodes') as unknown[]).length === 1)
await showUsers()
console.log(`  the node has ended with ${code}; close events that the clients have seen: ${seen.closes.length}`)

console.log('\nada is disconnected, on whichever node:')
console.log(`  ${JSON.stringify(await ask('/users/ada', 'DELETE'))}`)
await until(async () => seen.closes.length === 1)
console.log(`  the client of ada reads ${seen.closes[0]}`)
for (const socket of sockets) socket.close()
const last = nodes[1]!
last.kill('SIGTERM')
await once(last, 'exit')
process.exit(code)

/** Prints where each user is. */
async function showUsers (): Promise<void> {
  for (const user of users) console.log(`  ${user.padEnd(5)}${JSON.stringify(await ask(`/where?user=${user}`))}`)
}

/** Asks a node, whichever nginx chooses. */
async function ask (path: string, method = 'GET'): Promise<unknown> {
  return await (await fetch(`http://127.0.0.1:${nginxPort}${path}`, { method })).json()
}

async function startNode (): Promise<ChildProcess & { port: number }> {
  const port = await freePort()
  const child = start(process.execPath, [...process.execArgv, join(import.meta.dirname, 'node.ts')], { PORT: String(port), REDIS_URL: `redis://127.0.0.1:${redisPort}` })
  await listening(port)
  return Object.assign(child, { port })
}

function start (command: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] })
  children.add(child)
  child.on('exit', () => { children.delete(child) })
  return child
}

/** That of compose.yml, with the ports of here. */
function nginxConfiguration (): string {
  return `daemon off;\npid nginx.pid;\nerror_log stderr emerg;\n${readFileSync(join(import.meta.dirname, 'nginx.conf'), 'utf8')
    .replace('http {', `http {\n  access_log off;\n${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `  ${name}_temp_path ${name};`).join('\n')}`)
    .replace('listen 8080', `listen 127.0.0.1:${nginxPort}`)
    .replace('one:3000', `127.0.0.1:${nodes[0]!.port}`)
    .replace('two:3000', `127.0.0.1:${nodes[1]!.port}`)}`
}

function find (name: string): string {
  // The folder of programs for administrators is not in every PATH.
  const found = [name, `/usr/sbin/${name}`, `/usr/local/sbin/${name}`].find((command) => spawnSync(command, ['-v'], { stdio: 'ignore' }).status === 0)
  if (found !== undefined) return found
  console.error(`${name} is not installed (Debian: apt-get install redis-server nginx-light)`)
  process.exit(1)
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Resolves when something listens on a port. */
async function listening (port: number): Promise<void> {
  await until(() => new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => { resolve(false) })
  }))
}

async function until (condition: () => Promise<boolean>): Promise<void> {
  while (!await condition()) await sleep(50)
}
