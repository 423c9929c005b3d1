/**
 * Describes the machine, so that figures can be compared with those of another.
 */
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import type { Machine } from './results.ts'

export function thisMachine (): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory: totalmem(),
    kernel: `${type()} ${release().split('.', 2).join('.')}`,
    node: process.version,
    load: Math.round(loadavg()[0]! * 10) / 10,
    date: new Date().toISOString()
  }
}
