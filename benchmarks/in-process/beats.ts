/**
 * The cost of a heartbeat without pings, when all peers are active. Over the network the messages of the peers cost a hundred
 * times as much as the checks, and vary by more than that. Here the checks are measured alone.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { frame, OPCODE } from '../load/frames.ts'
import { median } from '../statistics.ts'
import { handshake, upgrade } from './memory-socket.ts'
import { MeteredClock } from './metered-clock.ts'

const CONNECTIONS = 18_500
/** Milliseconds. */
const INTERVAL = 3_000
const BEATS = 2
/** Time between two messages of a peer: far less than between two checks, which is half an interval. */
const TALK = 500
/** The first round is discarded. */
const TURNS = 4

const MESSAGE = frame(OPCODE.text, Buffer.from('0123456789abcdef'))

/** Creates an app with a route /sync. */
type MakeApp = (options: { clock: MeteredClock, heartbeat: { interval: number } }) => Promise<FastifyInstance>

/** Microseconds per connection and beat. */
export async function activeBeats (makeApp: MakeApp): Promise<number> {
  const clock = new MeteredClock()
  const app = await makeApp({ clock, heartbeat: { interval: INTERVAL } })
  const openings = Array.from({ length: CONNECTIONS }, () => handshake('/sync'))
  for (const opening of openings) upgrade(app.server, opening)
  const written = () => openings.reduce((sum, { socket }) => sum + socket.writes, 0)
  const costs: number[] = []
  for (let i = 0; i < TURNS; i++) {
    const [spent, writes] = [clock.spent, written()]
    for (const end = performance.now() + BEATS * INTERVAL; performance.now() < end;) {
      for (const { socket } of openings) socket.push(MESSAGE)
      await sleep(TALK)
    }
    // If the machine stood still, the peers were silent and were pinged.
    if (i > 0 && written() === writes) costs.push((clock.spent - spent) / CONNECTIONS / BEATS)
  }
  for (const { socket } of openings) socket.destroy()
  await app.close()
  if (costs.length === 0) throw new Error('the machine is too busy: peers were pinged in every turn')
  return median(costs)
}
