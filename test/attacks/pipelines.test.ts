/**
 * Raw requests around an upgrade, by the thousand and from a seed, against a server of a process of its own: no uncaught
 * exception, no answer out of order, no socket left, and the server closes, at rest and in the middle of it. Half of them reach a
 * server with the default options, half one that refuses most of them with close frames.
 *
 * Connection n of either run has the seed `seed + n`: `FUZZ_SEED=<seed + n> FUZZ_SEQUENCES=1` repeats one alone.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { forkFixture } from '../helpers/child.ts'

const COUNT = Number(process.env.FUZZ_SEQUENCES ?? 5_000)
const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))

// Not a diagnostic of a test: those are not shown where the process ends first.
console.log(`pipelines: FUZZ_SEED=${SEED} FUZZ_SEQUENCES=${COUNT}`)

for (const options of ['default', 'refusing']) {
  const count = Math.ceil(COUNT / 2)

  it(`${count} connections from seed ${SEED} leave nothing and do not end the process, options: ${options}`, async (t) => {
    const child = forkFixture(t, 'pipelines', [String(SEED), String(count), options])
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr)
  })

  it(`a server that closes in the middle of it closes, options: ${options}`, async (t) => {
    const child = forkFixture(t, 'pipelines', [String(SEED), '500', options, 'during'])
    const { opened } = await child.message<{ opened: number }>()
    assert.ok(opened > 0)
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr)
  })
}
