/**
 * A proxy in front of several servers, with a configuration and a folder of its own.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../test/helpers/free-port.ts'

export interface Proxy {
  port: number
  stop (): Promise<void>
}

export interface ProxyProgram {
  name: string
  /** Package of Debian that has it. */
  from: string
  /** Arguments that have it read the configuration in `file`, and stay in the foreground. */
  args (folder: string, file: string): string[]
  configuration (port: number): string
}

/** Starts a proxy on a free port, and waits until it listens. Throws if it is not installed. */
export async function startProxy ({ name, from, args, configuration }: ProxyProgram): Promise<Proxy> {
  const command = find(name, from)
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), `${name}-`))
  const file = join(folder, `${name}.conf`)
  writeFileSync(file, configuration(port))
  const child = spawn(command, args(folder, file), { stdio: ['ignore', 'inherit', 'inherit'] })
  const exited = once(child, 'exit')
  // SIGTERM, because a master that is killed leaves its workers behind.
  const kill = () => { child.kill('SIGTERM') }
  process.on('exit', kill)
  const stop = async () => {
    kill()
    await exited
    process.off('exit', kill)
    rmSync(folder, { recursive: true, force: true })
  }
  while (!await listens(port)) {
    if (child.exitCode !== null) {
      await stop()
      throw new Error(`${name} ended with ${child.exitCode}`)
    }
    await sleep(20)
  }
  return { port, stop }
}

function find (name: string, from: string): string {
  // The folder of programs for administrators is not in every PATH.
  const found = [name, `/usr/sbin/${name}`, `/usr/local/sbin/${name}`].find((command) => spawnSync(command, ['-v'], { stdio: 'ignore' }).status === 0)
  if (found === undefined) throw new Error(`${name} is not installed (Debian: apt-get install ${from})`)
  return found
}

function listens (port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => { resolve(false) })
  })
}
