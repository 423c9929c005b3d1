/**
 * Limits in random moves: what a limit counts never exceeds its maximum, and nothing is left at the end.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Pair } from '../helpers/fake-host.ts'
import { generator } from '../helpers/generator.ts'
import { asksOf, MOVED } from '../helpers/mover.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

const SEEDS = Number(process.env['SEEDS'] ?? 500)

/** A client of a run. */
interface Client extends Pair {
  /** The client's connection before, if it has offered the id of a move. */
  old: Client | null
  /** The last id that it was given. */
  id: string | undefined
  ip: string
}

/** Returns one of these, each as likely. */
type Pick = <T> (of: readonly T[]) => T

const STEPS = ['join', 'join', 'ask', 'move', 'next', 'next', 'moved', 'closes', 'gone', 'time', 'work', 'owner', 'message'] as const

async function run (seed: number): Promise<void> {
  const random = generator(seed)
  const pick: Pick = (of) => of[Math.floor(random() * of.length)]!
  const limit = pick(['total', 'perOwner', 'perAddress'] as const)
  const max = pick([1, 2])
  const policy = pick(['evict-oldest', 'evict-idlest', 'refuse'] as const)
  const { accept, admission, clock, moves, tracker } = createTracker({ heartbeat: false, backpressure: false, limits: { [limit]: { max, policy } } })
  const clients: Client[] = []

  /** As AdmissionChecks does. */
  const connect = (owner: string | undefined, ip: string, old: Client | null) => {
    const handshake = {}
    const claimed = moves.links.claim(handshake, old?.id)
    const refused = admission!.arrived('/', claimed) !== null ||
      (!claimed && admission!.addressed(ip, '/') !== null) ||
      (!moves.links.serves(handshake, owner) && admission!.opening(ip, owner, !claimed, '/') !== null)
    if (!moves.links.release(handshake)) admission!.left()
    if (refused) return
    const pair = accept({ owner, ip, peer: pick(['silent', 'answers'] as const) })
    clients.push({ ...pair, old, id: undefined, ip })
    moves.offered(pair.connection, old?.id)
    tracker.opened(pair.connection)
  }

  const step = async (what: typeof STEPS[number]) => {
    const owners = ['ann', 'bob', undefined]
    if (what === 'join') return connect(pick(owners), pick(['10.0.0.1', '10.0.0.2']), null)
    if (what === 'time') return await clock.run(pick([10, 1_000, 6_000]))
    const client = pick(clients.filter(({ connection }) => connection.state === 'open' || connection.state === 'draining'))
    if (client === undefined) return
    const { connection, socket } = client
    if (what === 'next' && client.id !== undefined) connect(random() < 0.9 ? connection.owner : pick(owners), pick([client.ip, '10.0.0.1']), client)
    if (what === 'ask') moves.ask(connection, 0)
    if (what === 'move') void connection.move()
    if (what === 'moved') socket.peerSends(MOVED)
    if (what === 'closes') socket.peerCloses()
    if (what === 'gone') socket.rawGone()
    if (what === 'work') void connection.track(new Promise(() => {}))
    if (what === 'owner') connection.setOwner(pick(owners))
    if (what === 'message') socket.peerSends('hello')
    client.id = asksOf(socket).at(-1)?.id
  }

  /** The most open connections under one key; both of a move are one, but under two addresses. */
  const most = () => {
    const open = clients.filter(({ connection }) => connection.state === 'open')
    const numbers = new Map<string, number>()
    for (const { connection, ip, old } of open) {
      const key = limit === 'total' ? 'all' : limit === 'perOwner' ? connection.owner : ip
      if (key !== undefined && !(old !== null && open.includes(old) && (limit !== 'perAddress' || ip === old.ip))) numbers.set(key, (numbers.get(key) ?? 0) + 1)
    }
    return Math.max(0, ...numbers.values())
  }

  const steps: string[] = []
  for (let number = 0; number < 40; number++) {
    const what = pick(STEPS)
    steps.push(what)
    await step(what)
    await clock.flush()
    assert.ok(most() <= max, `seed ${seed}: ${most()} under ${limit} of ${max}, ${policy}, after ${steps.join()}`)
  }
  for (const { socket } of clients) socket.rawGone()
  await clock.flush()
  assert.equal(admission!.size, 0, `seed ${seed}: places are left`)
}

test(`${SEEDS} random schedules of moves keep to the limits`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await run(seed)
})
