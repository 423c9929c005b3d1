/**
 * The one place that calls foreign code: hooks, listeners, options, loggers and methods that a user or a peer hands us may
 * throw, reject, hang or return anything.
 *
 * Nothing here lets a throw or a rejection out. A call that may hang is bounded by its caller's deadline.
 */
import type { FastifyBaseLogger } from 'fastify'
import { SOCKETS_ERR_INVALID_ARGUMENT } from './errors.ts'

/**
 * Calls user code so that neither a throw nor a rejection gets out; both go to `failed`.
 * Returns what was called for, or undefined when it threw; a thenable of another make as a promise, for its `then` may
 * do its work anew each time it is called.
 */
export function attempt<T> (call: () => T, failed: (error: unknown) => void): T | undefined {
  try {
    const result = call()
    if (!isThenable(result)) return result
    const promise = Promise.resolve(result)
    promise.then(undefined, failed)
    return promise as T
  } catch (error) {
    failed(error)
    return undefined
  }
}

/**
 * What a callback returned that must answer at once. Throws SOCKETS_ERR_INVALID_ARGUMENT for a promise, and takes its
 * rejection, which would reach the process otherwise.
 */
export function atOnce<T> (callback: string, result: T): T {
  if (!isThenable(result)) return result
  Promise.resolve(result).then(undefined, () => {})
  throw new SOCKETS_ERR_INVALID_ARGUMENT(`what ${callback} returns`, 'there at once (what takes time belongs into a hook)', 'a promise')
}

/** Says whether a value has a `then` method; a getter that throws counts as no. */
export function isThenable (value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  try {
    return typeof (value as PromiseLike<unknown>).then === 'function'
  } catch {
    return false
  }
}

/** Name of a function for logs and reports; a getter that throws, or that returns anything but text, counts as none. */
export function nameOf (call: Function): string {
  const name: unknown = attempt(() => call.name as unknown, () => {})
  return typeof name === 'string' && name !== '' ? name : 'anonymous'
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

/**
 * A logger that never throws: where a serializer or the destination fails, the line goes out without its fields, and where
 * that fails too, it is lost. Everything else of the logger is there as before; its children are guarded as well.
 */
export function guardLog (log: FastifyBaseLogger): FastifyBaseLogger {
  const guarded = Object.create(log) as FastifyBaseLogger
  for (const level of LEVELS) {
    guarded[level] = (...args: unknown[]) => {
      const write = (...line: unknown[]) => { attempt(() => Reflect.apply(log[level], log, line) as unknown, () => {}) }
      attempt(() => Reflect.apply(log[level], log, args) as unknown, () => { write(args.find((arg) => typeof arg === 'string') ?? 'a line could not be logged') })
    }
  }
  guarded.child = (...args: Parameters<FastifyBaseLogger['child']>) => {
    const child = attempt(() => log.child(...args), () => {})
    return child === undefined ? guarded : guardLog(child)
  }
  return guarded
}
