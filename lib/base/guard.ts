/**
 * Calls of foreign code: hooks, listeners, options, loggers and overridden methods may throw, reject, hang or return
 * anything.
 *
 * What foreign code throws or rejects with never reaches the caller. The caller sets a deadline for a call that may hang.
 */
import type { FastifyBaseLogger } from 'fastify'
import { SOCKETS_ERR_INVALID_ARGUMENT } from './errors.ts'

/**
 * Calls foreign code; what it throws or rejects with goes to `failed`.
 * Returns the result, or undefined if the call threw. A foreign thenable is returned as a promise: its `then` may start its
 * work again at each call.
 */
export function attempt<T> (call: () => T, failed: (error: unknown) => void): T | undefined {
  try {
    const result = call()
    if (!isThenable(result)) return result
    const promise = toPromise(result)
    promise.then(undefined, failed)
    return promise as T
  } catch (error) {
    failed(error)
    return undefined
  }
}

/**
 * Returns the result of a synchronous callback. Throws SOCKETS_ERR_INVALID_ARGUMENT for a promise, and handles its rejection,
 * which would otherwise reach the process.
 */
export function atOnce<T> (callback: string, result: T): T {
  if (!isThenable(result)) return result
  toPromise(result).then(undefined, () => {})
  throw new SOCKETS_ERR_INVALID_ARGUMENT(`the result of ${callback}`, 'synchronous (do asynchronous work in a hook)', 'a promise')
}

const { then } = Promise.prototype

/**
 * Returns a promise for a foreign thenable: one that settles once, and calls back after this turn. `Promise.resolve` returns a promise
 * of the application as it is, even if its `then` was replaced and breaks both rules.
 */
export function toPromise<T> (thenable: PromiseLike<T>): Promise<T> {
  try {
    // Most thenables are plain promises: a second one for each would take two more turns of the microtask queue.
    if (thenable.then === then) return Promise.resolve(thenable)
  } catch {
    // A getter has thrown. That rejects the promise below.
  }
  return new Promise((resolve) => { resolve(thenable) })
}

/** Returns true if a value has a `then` method; false if its getter throws. */
export function isThenable (value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  try {
    return typeof (value as PromiseLike<unknown>).then === 'function'
  } catch {
    return false
  }
}

/** Name of a function for logs and reports; `anonymous` if it has none, or its getter throws or returns no text. */
export function nameOf (call: Function): string {
  const name: unknown = attempt(() => call.name as unknown, () => {})
  return typeof name === 'string' && name !== '' ? name : 'anonymous'
}

function boundTo<T> (object: object, value: T): T { return typeof value === 'function' ? value.bind(object) as T : value }

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

/**
 * Makes a logger that never throws: if a serializer or the destination throws, the line is written without its fields, and
 * if that throws too, it is lost. Child loggers are guarded as well; all other properties are those of `log`,
 * and undefined if reading them throws.
 */
export function guardLog (log: FastifyBaseLogger): FastifyBaseLogger {
  // Not a child of `log`: methods of a class with private fields need the logger itself, and a frozen one takes no others in their place.
  const own = {} as FastifyBaseLogger
  for (const level of LEVELS) {
    own[level] = (...args: unknown[]) => {
      const write = (...line: unknown[]) => { attempt(() => Reflect.apply(log[level], log, line) as unknown, () => {}) }
      attempt(() => Reflect.apply(log[level], log, args) as unknown, () => { write(args.find((arg) => typeof arg === 'string') ?? 'a line could not be logged') })
    }
  }
  own.child = (...args: Parameters<FastifyBaseLogger['child']>) => {
    const child: unknown = attempt(() => log.child(...args), () => {})
    return typeof child === 'object' && child !== null ? guardLog(child as FastifyBaseLogger) : guarded
  }
  // What the application replaces, as test suites do, becomes a property of the target.
  const guarded: FastifyBaseLogger = new Proxy(own, {
    get: (target, key) => Object.hasOwn(target, key) ? target[key as 'level'] : attempt(() => boundTo(log, log[key as 'level']), () => {}),
    set: (target, key, value) => Object.hasOwn(target, key) ? Reflect.set(target, key, value) : Reflect.set(log, key, value),
    has: (target, key) => Object.hasOwn(target, key) || key in log
  })
  return guarded
}
