/**
 * Limits in a move, on fake sockets: the two connections count as one, and the new one is neither refused nor evicted for the old.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { ConnectionFacts } from '../../lib/connection/facts.ts'
import type { FakeSocketOptions } from '../helpers/fake-socket.ts'
import type { LifecycleOptions } from '../../lib/index.ts'
import type { Pair } from '../helpers/fake-host.ts'
import { asksOf, MOVED } from '../helpers/mover.ts'
import { createTracker } from '../helpers/tracker-rig.ts'
import type { TrackerRig } from '../helpers/tracker-rig.ts'

type Facts = Partial<ConnectionFacts> & FakeSocketOptions

interface LimitsRig extends Omit<TrackerRig, 'admission'> {
  admission: NonNullable<TrackerRig['admission']>
  /** Opens a connection whose client offers the protocol, and perhaps an id; null if its handshake was refused. */
  connect (facts?: Facts & { id?: string | undefined }): Pair | null
  /** The same for one that is not refused. */
  join (facts?: Facts & { id?: string | undefined }): Pair
  /** Asks a client to move. Returns its id. */
  ask (pair: Pair): string
}

function setup (limits: LifecycleOptions['limits'], options: LifecycleOptions = {}, isUnderPressure = () => false): LimitsRig {
  const rig = createTracker({ heartbeat: false, backpressure: false, limits, ...options }, 'debug', { isUnderPressure })
  const admission = rig.admission!
  const { moves, tracker } = rig
  const connect: LimitsRig['connect'] = ({ id, ...facts } = {}) => {
    // As AdmissionChecks does.
    const handshake = {}
    const claimed = moves.links.claim(handshake, id)
    const refused = admission.arrived('/', claimed) !== null ||
      (!moves.links.hasClaimed(handshake) && admission.addressed(facts.ip ?? '127.0.0.1', '/') !== null) ||
      (!moves.links.serves(handshake, facts.owner) && admission.opening(facts.ip ?? '127.0.0.1', facts.owner, !claimed, '/') !== null)
    if (!moves.links.release(handshake)) admission.left()
    if (refused) return null
    const pair = rig.accept(facts)
    moves.offered(pair.connection, id)
    tracker.opened(pair.connection)
    return pair
  }
  return {
    ...rig,
    admission,
    connect,
    join: (facts) => {
      const pair = connect(facts)
      assert.ok(pair !== null, 'the handshake was refused')
      return pair
    },
    ask: ({ connection, socket }) => {
      assert.ok(moves.ask(connection, 0))
      return asksOf(socket).at(-1)!.id
    }
  }
}

const LIMITS: Record<string, NonNullable<LifecycleOptions['limits']>> = {
  total: { total: { max: 1 } },
  perOwner: { perOwner: { max: 1 } },
  perAddress: { perAddress: { max: 1 } },
  'evict-oldest': { total: { max: 1, policy: 'evict-oldest' } },
  'evict-idlest': { perOwner: { max: 1, policy: 'evict-idlest' } },
  all: { total: { max: 1 }, perOwner: { max: 1 }, perAddress: { max: 1 }, handshakes: { max: 1 } }
}

const states = (...pairs: Pair[]): string[] => pairs.map(({ connection }) => connection.state)

for (const [what, limits] of Object.entries(LIMITS)) {
  test(`a full server takes the new connection of a move in the place of the old one: ${what}`, async () => {
    const { admission, ask, clock, connect, join, tracker } = setup(limits)
    const refuses = what === 'total' || what === 'all'
    const old = join({ owner: 'ann' })
    const id = ask(old)
    const next = join({ owner: 'ann', id })
    assert.deepEqual(states(old, next), ['open', 'open'])
    if (refuses) assert.equal(connect({ owner: 'bob', ip: '::1' }), null, 'both count as one, and not as none')
    old.socket.peerSends(MOVED)
    await clock.flush()
    assert.deepEqual(states(old, next), ['closed', 'open'])
    // The place is taken by the new one.
    if (refuses) assert.equal(connect({ owner: 'bob', ip: '::1' }), null)
    next.socket.peerCloses()
    await clock.flush()
    assert.deepEqual([admission.size, tracker.leftovers], [0, 0])
    assert.deepEqual(tracker.history.map(({ cause }) => cause), ['moved', 'client'])
  })
}

test('an id serves once', async () => {
  const { ask, connect, join, clock } = setup({ total: { max: 1 } })
  const old = join()
  const id = ask(old)
  join({ id })
  assert.equal(connect({ id }), null)
  old.socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(connect({ id }), null)
})

test('a client that is asked again has one new connection in the place of the old', async () => {
  const { ask, clock, connect, join, admission } = setup({ perOwner: { max: 1 }, total: { max: 5 } })
  const old = join({ owner: 'ann' })
  const next = join({ owner: 'ann', id: ask(old) })
  const other = join({ owner: 'ann', id: ask(old) })
  assert.deepEqual(states(old, next, other), ['open', 'open', 'closing'])
  assert.equal(other.socket.closeFrame?.code, 1013)
  old.socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(connect({ owner: 'ann' }), null)
  next.socket.peerCloses()
  await clock.flush()
  assert.equal(admission.size, 0)
})

test('an id serves one handshake at a time', () => {
  const { ask, join, moves } = setup({ total: { max: 1 } })
  const id = ask(join())
  const [first, second] = [{}, {}]
  assert.ok(moves.links.claim(first, id))
  assert.ok(moves.links.claim(first, id))
  assert.ok(!moves.links.claim(second, id))
  assert.equal(moves.links.take(id, undefined), null, 'not while the first is in progress')
  assert.ok(moves.links.release(first))
  assert.ok(!moves.links.release(first))
  assert.ok(!moves.links.release(second))
  assert.ok(moves.links.claim(second, id), 'the first has failed: the client tries again')
})

for (const [what, id] of Object.entries({ 'is unknown': 'AAAAAAAAAAAAAAAAAAAAAA', 'was never given': undefined })) {
  test(`an id that ${what} serves nothing`, () => {
    const { ask, connect, join } = setup({ total: { max: 1 } })
    ask(join())
    assert.equal(connect({ id }), null)
  })
}

test('the id of another owner serves nothing, and is not used up', () => {
  const { ask, connect, join } = setup({ total: { max: 2 }, perOwner: { max: 1 } })
  const ann = join({ owner: 'ann' })
  join({ owner: 'bob' })
  const id = ask(ann)
  assert.equal(connect({ owner: 'eve', id }), null)
  assert.equal(connect({ owner: 'bob', id }), null)
  assert.ok(connect({ owner: 'ann', id }) !== null)
})

test('a connection without an owner has the ids of connections without one', () => {
  const { ask, connect, join } = setup({ total: { max: 1 } })
  const id = ask(join())
  assert.equal(connect({ owner: 'eve', id }), null)
  assert.ok(connect({ id }) !== null)
})

test('an id ends 5 s after the turn', async () => {
  const { moves, clock, connect, join } = setup({ total: { max: 1 } })
  const old = join()
  assert.ok(moves.ask(old.connection, 3_000))
  const { id } = asksOf(old.socket)[0]!
  await clock.run(8_000)
  assert.ok(moves.links.claim({}, id))
  await clock.run(1)
  assert.equal(connect({ id }), null)
  assert.equal(moves.links.take(id, undefined), null)
})

test('an id ends with its connection, in the middle of a handshake too', async () => {
  const { ask, clock, join, moves, tracker } = setup({ total: { max: 2 } })
  const old = join()
  const id = ask(old)
  const handshake = {}
  assert.ok(moves.links.claim(handshake, id))
  assert.ok(moves.links.serves(handshake, undefined))
  old.socket.rawGone()
  await clock.flush()
  assert.ok(!moves.links.serves(handshake, undefined))
  assert.equal(moves.links.take(id, undefined), null)
  moves.links.release(handshake)
  assert.equal(tracker.leftovers, 0)
})

test('the old one dies before the new one is open: the place is free, and taken as by any other', async () => {
  const { ask, clock, connect, join } = setup({ total: { max: 1 } })
  const old = join()
  const id = ask(old)
  old.socket.rawGone()
  await clock.flush()
  assert.ok(connect({ id }) !== null)
  assert.equal(connect(), null)
})

test('the old one dies while both are open: the new one has the place', async () => {
  const { admission, ask, clock, connect, join } = setup({ total: { max: 1 }, perOwner: { max: 1 }, perAddress: { max: 1 } })
  const old = join({ owner: 'ann' })
  const next = join({ owner: 'ann', id: ask(old) })
  old.socket.rawGone()
  await clock.flush()
  assert.equal(connect({ owner: 'ann' }), null)
  next.socket.rawGone()
  await clock.flush()
  assert.equal(admission.size, 0)
})

test('the new one closes before the client has moved: the old one keeps the place, and may be left again', async () => {
  const { admission, ask, clock, connect, join } = setup({ total: { max: 1 }, perOwner: { max: 1 } })
  const old = join({ owner: 'ann' })
  const next = join({ owner: 'ann', id: ask(old) })
  next.socket.peerCloses()
  await clock.flush()
  assert.equal(connect({ owner: 'ann' }), null)
  const again = ask(old)
  assert.notEqual(again, asksOf(old.socket)[0]!.id)
  const third = join({ owner: 'ann', id: again })
  old.socket.peerSends(MOVED)
  third.socket.peerCloses()
  await clock.flush()
  assert.equal(admission.size, 0)
})

test('an eviction takes both connections of a move, whichever it meets', async () => {
  for (const policy of ['evict-oldest', 'evict-idlest'] as const) {
    for (const limits of [{ total: { max: 1, policy } }, { perOwner: { max: 1, policy } }, { perAddress: { max: 1, policy } }]) {
      for (const silent of ['old', 'next']) {
        const { admission, ask, clock, join, tracker } = setup(limits)
        const old = join({ owner: 'ann' })
        const next = join({ owner: 'ann', id: ask(old) })
        for (const [name, { socket }] of Object.entries({ old, next })) if (name !== silent) socket.peerSends('hello')
        await clock.flush()
        const other = join({ owner: 'ann' })
        assert.deepEqual(states(old, next, other), ['closing', 'closing', 'open'], JSON.stringify({ limits, silent }))
        await clock.run(100)
        assert.deepEqual(tracker.history.map(({ cause }) => cause), ['replaced', 'replaced'])
        other.socket.peerCloses()
        await clock.flush()
        assert.equal(admission.size, 0)
      }
    }
  }
})

test('once the client has moved, an eviction takes the new one; the work of the old one goes on', async () => {
  const { ask, clock, join } = setup({ perOwner: { max: 1, policy: 'evict-oldest' } })
  const old = join({ owner: 'ann' })
  const next = join({ owner: 'ann', id: ask(old) })
  void old.connection.track(new Promise(() => {}))
  old.socket.peerSends(MOVED)
  await clock.flush()
  const other = join({ owner: 'ann' })
  assert.deepEqual(states(old, next, other), ['draining', 'closing', 'open'])
})

test('an old one that is closing for another cause does not keep the new one from an eviction', async () => {
  const { admission, ask, clock, join } = setup({ total: { max: 1, policy: 'evict-idlest' } })
  const old = join({ peer: 'silent' })
  const next = join({ id: ask(old) })
  void old.connection.close()
  const other = join()
  assert.deepEqual(states(old, next, other), ['closing', 'closing', 'open'])
  old.socket.rawGone()
  next.socket.rawGone()
  other.socket.rawGone()
  await clock.flush()
  assert.equal(admission.size, 0)
})

test('a client that holds both connections for longer than its time has two: the new one is refused where there is no room', async () => {
  for (const limits of [{ total: { max: 1 } }, { total: { max: 1, policy: 'evict-oldest' as const } }, { perOwner: { max: 1, policy: 'evict-idlest' as const } }]) {
    const { admission, clock, connect, join } = setup(limits)
    const old = join({ owner: 'ann' })
    const moving = old.connection.move()
    const next = join({ owner: 'ann', id: asksOf(old.socket)[0]!.id })
    await clock.run(6_000)
    assert.equal(await moving, false)
    assert.deepEqual(next.socket.closeFrame, { code: 1013, reason: 'no room; retry=1000' })
    assert.equal(old.connection.state, 'open')
    if (connect({ owner: 'ann' }) !== null) assert.ok(JSON.stringify(limits).includes('evict'))
    await clock.run(100)
    assert.ok(admission.size > 0)
  }
})

test('a client that is asked again while move() waits has the time of its new turn', async () => {
  const { clock, join, moves, tracker } = setup({ total: { max: 1 } })
  const old = join()
  const moving = old.connection.move()
  await clock.run(4_000)
  assert.ok(moves.ask(old.connection, 10_000))
  await clock.run(12_000)
  const next = join({ id: asksOf(old.socket)[1]!.id })
  old.socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(await moving, true)
  assert.deepEqual([states(old, next), tracker.size], [['closed', 'open'], 1])
})

test('where there is room, it counts by itself', async () => {
  const { admission, clock, connect, join } = setup({ total: { max: 2 }, perOwner: { max: 2 } })
  const old = join({ owner: 'ann' })
  const moving = old.connection.move()
  const next = join({ owner: 'ann', id: asksOf(old.socket)[0]!.id })
  await clock.run(6_000)
  assert.equal(await moving, false)
  assert.deepEqual(states(old, next), ['open', 'open'])
  assert.equal(connect({ owner: 'bob' }), null)
  // A client that says it has moved, too late: the old one closes as for any other.
  old.socket.peerSends(MOVED)
  await clock.flush()
  assert.deepEqual(states(old, next), ['closed', 'open'])
  const bob = join({ owner: 'bob' })
  for (const { socket } of [next, bob]) socket.peerCloses()
  await clock.flush()
  assert.equal(admission.size, 0)
})

test('a failed move of a client that has not come back changes nothing', async () => {
  const { clock, connect, join } = setup({ total: { max: 1 } })
  const old = join()
  const moving = old.connection.move()
  await clock.run(6_000)
  assert.equal(await moving, false)
  assert.equal(connect(), null)
})

test('the owner may be set after the new connection has opened: the same one has the place', async () => {
  const { admission, ask, clock, connect, join } = setup({ total: { max: 1 }, perOwner: { max: 1 } })
  const old = join()
  old.connection.setOwner('ann')
  const next = join({ id: ask(old) })
  assert.equal(next.connection.setOwner('ann'), true)
  assert.equal(next.connection.setOwner(undefined), true)
  assert.equal(next.connection.setOwner('ann'), true)
  old.socket.peerSends(MOVED)
  await clock.flush()
  assert.equal(next.connection.state, 'open')
  assert.equal(connect({ owner: 'ann' }), null)
  next.socket.peerCloses()
  await clock.flush()
  assert.equal(admission.size, 0)
})

test('another owner that is set there counts by itself', async () => {
  for (const [max, state] of [[1, 'closing'], [2, 'open']] as const) {
    const { ask, join } = setup({ total: { max }, perOwner: { max: 1 } })
    const old = join({ owner: 'ann' })
    const next = join({ id: ask(old) })
    assert.equal(next.connection.setOwner('eve'), max === 2)
    assert.deepEqual(states(old, next), ['open', state])
  }
})

test('so does the new one if another owner is set on the old one', () => {
  const { ask, join } = setup({ total: { max: 2 }, perOwner: { max: 1 } })
  const old = join({ owner: 'ann' })
  const next = join({ owner: 'ann', id: ask(old) })
  assert.equal(old.connection.setOwner('bob'), true)
  assert.deepEqual(states(old, next), ['open', 'open'])
  const third = setup({ total: { max: 1 }, perOwner: { max: 1 } })
  const before = third.join({ owner: 'ann' })
  const after = third.join({ owner: 'ann', id: third.ask(before) })
  assert.equal(before.connection.setOwner('bob'), true)
  assert.deepEqual(states(before, after), ['open', 'closing'])
})

test('a server under pressure takes no new connection of a move', () => {
  let pressed = false
  const { ask, connect, join, tracker } = setup({ pressure: true, total: { max: 5 } }, {}, () => pressed)
  const id = ask(join())
  pressed = true
  assert.equal(connect({ id }), null)
  tracker.close()
})

test('a connection that was refused has not used up the link', async () => {
  const { ask, clock, join, moves, tracker } = setup({ total: { max: 5 } })
  const id = ask(join())
  const { connection } = join()
  assert.equal(moves.takePrevious(connection), null, 'it has offered no id')
  const failing = join({ owner: 'eve', id })
  assert.equal(failing.connection.state, 'open')
  assert.ok(moves.links.claim({}, id))
  await clock.flush()
  assert.ok(tracker.size === 3)
})
