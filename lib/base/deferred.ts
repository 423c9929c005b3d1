/**
 * A promise with its resolve function outside (Node 20 has no Promise.withResolvers).
 */
export interface Deferred<T> {
  promise: Promise<T>
  resolve: (value: T) => void
}

export function deferred<T> (): Deferred<T> {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}

/** Makes a rejected promise that causes no 'unhandledRejection' if nothing awaits it. */
export function rejected (error: Error): Promise<never> {
  const promise = Promise.reject(error)
  promise.catch(() => {})
  return promise
}
