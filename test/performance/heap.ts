/**
 * The V8 heap, after garbage collections.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes in use once all garbage is collected. */
export async function heapUsed (): Promise<number> {
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => { setImmediate(resolve) })
    collect()
  }
  return process.memoryUsage().heapUsed
}
