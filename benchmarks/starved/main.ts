/**
 * `npm run starve`: drains of processes that get little CPU, or whose application keeps the event loop busy. Each must report,
 * close the database and end by itself within timeout and reserve, without a turn of 50 ms of CPU.
 *
 * Linux only. CPU is limited by a control group if possible, else by stopping and continuing the process. `coldPage` is what memory
 * costs that was not touched for 3 s, microseconds of CPU a page: where a virtual machine takes it away meanwhile, all that a starved
 * process does takes many times as long. Usually it is below 0.3.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DrainReport } from '../../lib/index.ts'
import { starve } from '../../test/helpers/starve.ts'
import { libraryFolder, programFile } from '../library.ts'

const CASES = [
  { clients: 5_000, share: 0.1, busy: 0, timeout: 8_000, reserve: 5_000 },
  { clients: 2_000, share: 0.05, busy: 0, timeout: 8_000, reserve: 5_000 },
  { clients: 8_000, share: 1, busy: 95, timeout: 3_000, reserve: 1_500 },
  { clients: 17_000, share: 1, busy: 95, timeout: 8_000, reserve: 5_000 }
]
/** Connections of one client process, which needs as many local ports, and time to answer. */
const PER_PROCESS = 6_000
/** Time from the kill to the signal, and from the exit to the news of it: a few periods of a control group, milliseconds. */
const NEWS = 500
/** Milliseconds of CPU. */
const LONGEST_TURN = 50

type Message = { port?: number, drained?: DrainReport, database?: 'closed', exit?: number, longest?: number }

const folder = libraryFolder()
const serverFile = programFile(join(import.meta.dirname, 'server.ts'))
const children: ChildProcess[] = []
let failed = false

process.on('exit', () => { for (const child of children) child.kill('SIGKILL') })

for (const each of CASES) {
  const { clients, share, busy, timeout, reserve } = each
  const server = fork(serverFile, [folder, JSON.stringify({ options: { drain: { timeout, reserve } }, busy })])
  children.push(server)
  const told: Message = {}
  server.on('message', (message: Message) => { Object.assign(told, message) })
  await once(server, 'message')
  const swarm: ChildProcess[] = []
  for (let left = clients; left > 0; left -= PER_PROCESS) {
    const child = run(join(import.meta.dirname, '../../test/process/fixtures/clients.ts'), `ws://127.0.0.1:${told.port}/`, String(Math.min(left, PER_PROCESS)))
    await once(child, 'message')
    swarm.push(child)
  }
  const codes = Promise.all(swarm.map(async (child) => (await once(child, 'message') as [{ ends: Array<{ code: number }> }])[0].ends.map(({ code }) => code)))
  server.send('starve')
  const release = share === 1 ? () => {} : limit(server, share)
  await sleep(500)
  const startedAt = performance.now()
  server.kill('SIGTERM')
  const [code, signal] = await once(server, 'exit') as [number | null, string | null]
  const took = performance.now() - startedAt
  release()
  const seen: Record<number, number> = {}
  for (const code of (await codes).flat()) seen[code] = (seen[code] ?? 0) + 1
  const holds = told.drained !== undefined && told.database === 'closed' && signal === null && told.exit === code &&
    took <= timeout + reserve + NEWS && told.longest! <= LONGEST_TURN
  failed ||= !holds
  console.log(JSON.stringify({
    ...each,
    holds,
    took: Math.round(took),
    drained: Math.round(told.drained?.duration ?? -1),
    database: told.database,
    exit: code ?? signal,
    longest: Math.round(told.longest ?? -1),
    connections: told.drained?.connections,
    codes: seen
  }))
}
console.log(JSON.stringify({ coldPage: await coldPage() }))
process.exit(failed ? 1 : 0)

function run (file: string, ...args: string[]): ChildProcess {
  const child = fork(file, args, { execArgv: ['--import', import.meta.resolve('../../scripts/typescript.js')] })
  children.push(child)
  return child
}

/** Returns what it costs to touch a page of memory that was not touched for 3 s, microseconds of CPU. */
async function coldPage (): Promise<number> {
  const [size, page] = [100 * 2 ** 20, 4_096]
  const memory = Buffer.alloc(size, 1)
  await sleep(3_000)
  const before = process.cpuUsage()
  for (let at = 0; at < size; at += page) memory[at]!++
  const { user, system } = process.cpuUsage(before)
  return Math.round((user + system) / (size / page) * 100) / 100
}

/** Limits a process to part of a core. */
function limit (child: ChildProcess, share: number): () => void {
  const [period, quota] = [100_000, 100_000 * share]
  for (const [root, write] of [
    ['/sys/fs/cgroup/cpu', (group: string) => { writeFileSync(join(group, 'cpu.cfs_quota_us'), String(quota)) }],
    ['/sys/fs/cgroup', (group: string) => { writeFileSync(join(group, 'cpu.max'), `${quota} ${period}`) }]
  ] as const) {
    const group = join(root, `starved-${process.pid}`)
    if (!existsSync(root)) continue
    try {
      mkdirSync(group)
      write(group)
      writeFileSync(join(group, 'cgroup.procs'), String(child.pid))
      return () => { rmdirSync(group) }
    } catch {
      if (existsSync(group)) rmdirSync(group)
    }
  }
  return starve(child, share)
}
