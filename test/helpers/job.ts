/**
 * Work that a test settles.
 */

/** A promise with its ends outside. */
export interface Job {
  promise: Promise<unknown>
  done (value?: unknown): void
  fail (error: unknown): void
}

export function createJob (): Job {
  let done!: (value?: unknown) => void
  let fail!: (error: unknown) => void
  const promise = new Promise<unknown>((resolve, reject) => { done = resolve; fail = reject })
  return { promise, done, fail }
}
