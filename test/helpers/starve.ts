/**
 * A process that gets only part of the CPU: stopped and continued in turn, from outside.
 */
import type { ChildProcess } from 'node:child_process'

/** Milliseconds from one stop to the next, as in a Linux control group. */
const PERIOD = 100

/** Lets a process run for `share` of the time, until it ends or the returned function is called. */
export function starve (child: ChildProcess, share: number): () => void {
  let running = true
  let timer = setTimeout(change, 0)
  const end = () => {
    clearTimeout(timer)
    child.kill('SIGCONT')
  }
  child.once('exit', end)
  return end

  function change (): void {
    running = !running
    child.kill(running ? 'SIGCONT' : 'SIGSTOP')
    timer = setTimeout(change, PERIOD * (running ? share : 1 - share))
  }
}
