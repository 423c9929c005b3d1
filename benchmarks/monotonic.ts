/**
 * The monotonic clock, the same for all processes of a machine.
 */

/** Microseconds. */
export function monotonicMicros (): number {
  return Number(process.hrtime.bigint() / 1000n)
}
