/**
 * A program of examples/ in a process of its own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { TYPESCRIPT } from './child.ts'

/** Starts an example, which is killed after the test. Resolves with what it has written when that matches `ready`. */
export async function startExample (t: TestContext, file: string, env: NodeJS.ProcessEnv, ready: RegExp): Promise<RegExpExecArray> {
  const child = spawn(process.execPath, [...TYPESCRIPT, join(import.meta.dirname, '../../examples', file)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exited = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await exited
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  while (!ready.test(output)) await once(child.stdout, 'data')
  return ready.exec(output)!
}
