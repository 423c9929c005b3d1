/**
 * Clients lose a server that is down for 20 seconds: when they try again, compared with what full jitter makes of them. There are 2,000,
 * or as many as CLIENTS says.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { lifecycle } from '../../lib/client/index.ts'
import { generator } from '../helpers/generator.ts'
import { FakeSocket, fakeTime, newAddress } from './fake-base.ts'

const CLIENTS = Number(process.env.CLIENTS ?? 2_000)
const BATCH = 50
const DOWN = 20_000

/** Attempts in each second. */
function perSecond (attempts: number[]): number[] {
  const counts: number[] = []
  for (const at of attempts) counts[Math.floor(at / 1_000)] = (counts[Math.floor(at / 1_000)] ?? 0) + 1
  return Array.from(counts, (count) => count ?? 0)
}

test('after a loss without a delay the attempts of all clients are at most 1.2 times those of full jitter, in every second', async (t) => {
  const random = generator(1)
  const ideal: number[] = []
  for (let client = 0; client < CLIENTS; client++) {
    for (let at = 0, failures = 0; at < DOWN; failures++) ideal.push(at += random() * Math.min(30_000, 1_000 * 2 ** failures))
  }

  const clock = fakeTime(t)
  t.mock.method(Math, 'random', generator(2))
  const attempts: number[] = []
  const lostAt = new Map<string, number>()
  /** A server that opens the first connection of each address, cuts it, and is down from then on. */
  class Down extends FakeSocket {
    constructor (url: string, protocols: string[]) {
      super(url, protocols)
      queueMicrotask(() => {
        const lost = lostAt.get(url)
        if (lost !== undefined) {
          attempts.push(clock.now() - lost)
          return this.fail()
        }
        lostAt.set(url, clock.now())
        this.open()
        setTimeout(() => { this.end(1006) }, 1)
      })
    }
  }
  const Socket = lifecycle(Down)
  const connect = (url: string) => {
    new Socket(url).addEventListener('close', () => { if (clock.now() - lostAt.get(url)! < DOWN) connect(url) })
  }
  // Each with an address of its own: they know nothing of one another, as pages do..
  for (let client = 0; client < CLIENTS; client += BATCH) {
    for (let i = 0; i < BATCH; i++) connect(newAddress())
    for (await clock.flush(); !clock.idle; await clock.run(clock.nextTimerIn));
  }

  assert.ok(attempts.length <= 1.2 * ideal.length, `${attempts.length} of ${ideal.length}`)
  const [seen, best] = [perSecond(attempts), perSecond(ideal)]
  assert.ok(Math.max(...seen) <= 1.2 * Math.max(...best), `${Math.max(...seen)} of ${Math.max(...best)}`)
  // Where few arrive, chance decides.
  for (const [second, count] of best.entries()) if (count >= 300) assert.ok((seen[second] ?? 0) <= 1.2 * count, `second ${second}: ${seen[second]} of ${count}`)
})
