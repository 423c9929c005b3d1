/**
 * Slots through the tracker: from the upgrade to the end of the raw socket, by every policy (S34, S35).
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import type { Pair } from '../helpers/fake-host.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

type Limits = NonNullable<LifecycleOptions['limits']>

function setup (limits: Limits, options: LifecycleOptions = {}) {
  const rig = createTracker({ heartbeat: false, backpressure: false, limits, ...options }, 'fatal')
  const refusals: unknown[] = []
  rig.tracker.on('refused', (refusal) => { refusals.push(refusal) })
  return { ...rig, refusals, admission: rig.admission! }
}

const states = (...pairs: Pair[]) => pairs.map(({ connection }) => connection.state)
const causes = (rig: ReturnType<typeof setup>) => rig.tracker.history.map(({ cause, code }) => [cause, code])

test('without limits there is no admission', () => {
  assert.equal(setup({}).admission, null)
  for (const limits of [{ total: { max: 1 } }, { handshakes: { max: 1 } }, { pressure: true }] as Limits[]) assert.notEqual(setup(limits).admission, null)
})

test('a handshake takes a place until it is over', () => {
  const { admission } = setup({ total: { max: 2 } })
  assert.deepEqual([admission.arrived('/'), admission.arrived('/'), admission.arrived('/')], [null, null, 'total'])
  admission.left()
  admission.left()
  assert.equal(admission.arrived('/'), null)
  admission.left()
  admission.left()
  assert.equal(admission.size, 0)
})

test('handshakes are counted by themselves', () => {
  const { admission, open } = setup({ handshakes: { max: 1 } })
  assert.deepEqual([admission.arrived('/'), admission.arrived('/')], [null, 'handshakes'])
  admission.left()
  admission.left()
  open()
  open()
  assert.equal(admission.arrived('/'), null)
})

test('refuse: the connection over the limit is closed with 1013 and a reconnect delay, and the others stay', async () => {
  const rig = setup({ total: { max: 2 } })
  const [a, b, c] = [rig.open(), rig.open(), rig.open()]
  assert.deepEqual(states(a, b, c), ['open', 'open', 'closing'])
  assert.deepEqual(c.socket.closeFrame, { code: 1013, reason: 'no room; retry=1000' })
  assert.deepEqual(rig.refusals, [{ reason: 'total', path: '/', ip: '127.0.0.1' }])
  await rig.clock.run(100)
  assert.deepEqual([causes(rig), rig.tracker.stats().refused], [[['refused', 1013]], { total: 1 }])
})

test('a place is free again with the end of the raw socket, not with the close frame', async () => {
  const rig = setup({ total: { max: 1 } })
  const a = rig.open({ peer: 'silent' })
  void a.connection.close().catch(() => {})
  assert.equal(rig.open().connection.state, 'closing')
  a.socket.peerAnswers()
  await rig.clock.flush()
  assert.equal(rig.open().connection.state, 'open')
})

test('evict-oldest: the first one is closed with 4001, and loses its place at once', async () => {
  const rig = setup({ total: { max: 2, policy: 'evict-oldest' } })
  const [a, b, c] = [rig.open({ peer: 'silent' }), rig.open(), rig.open()]
  assert.deepEqual(states(a, b, c), ['closing', 'open', 'open'])
  assert.deepEqual(a.socket.closeFrame, { code: 4001, reason: 'replaced' })
  a.socket.peerAnswers()
  await rig.clock.flush()
  assert.deepEqual(causes(rig), [['replaced', 4001]])
})

test('evict-idlest: who has said nothing for longest is closed', async () => {
  const rig = setup({ total: { max: 2, policy: 'evict-idlest' } })
  const [a, b] = [rig.open(), rig.open()]
  await rig.clock.run(5_000)
  a.socket.peerSends('hello')
  await rig.clock.run(5_000)
  const c = rig.open()
  assert.deepEqual(states(a, b, c), ['open', 'closing', 'open'])
})

test('sockets of the evicted stay under the ceiling: with one on its way out, the next connection is refused', async () => {
  const rig = setup({ total: { max: 2, policy: 'evict-oldest' } })
  const pairs = [1, 2, 3, 4].map(() => rig.open({ peer: 'silent' }))
  assert.deepEqual(states(...pairs), ['closing', 'open', 'open', 'closing'])
  assert.equal(pairs[3]!.socket.closeFrame!.code, 1013)
  assert.equal(rig.admission.arrived('/'), 'total')
  pairs[0]!.socket.peerAnswers()
  await rig.clock.flush()
  assert.deepEqual(states(rig.open(), pairs[1]!), ['open', 'closing'])
})

test('an evicted one gives its address back when its socket is gone: there is room for as many as before, and no more', async () => {
  const rig = setup({ perAddress: { max: 2, policy: 'evict-oldest' } })
  for (let i = 0; i < 5; i++) {
    const [oldest] = rig.tracker.list()
    const one = rig.open({ peer: 'silent' })
    assert.equal(one.connection.state, 'open')
    if (i < 2) continue
    assert.equal(oldest!.state, 'closing')
    void oldest!.terminate()
    await rig.clock.flush()
    assert.equal(rig.tracker.list().length, 2)
  }
})

test('one that was evicted under another limit gives back its place under one that refuses', async () => {
  const rig = setup({ total: { max: 2, policy: 'evict-oldest' }, perOwner: { max: 1 } })
  const a = rig.open({ owner: 'ann', peer: 'silent' })
  rig.open({ owner: 'bob' })
  rig.open({ owner: 'cid' })
  assert.equal(a.connection.state, 'closing')
  a.socket.peerAnswers()
  await rig.clock.flush()
  const asked = ['ann', 'bob', 'cid'].map((owner) => rig.admission.opening(undefined, owner, true, '/'))
  assert.deepEqual(asked, [null, 'perOwner', 'perOwner'])
  assert.equal(rig.open({ owner: 'ann' }).connection.state, 'open')
})

test('one client has one limit, however its address is written, at every moment and until it has left', async () => {
  const rig = setup({ perAddress: { max: 1, policy: 'evict-oldest' }, total: { max: 9, policy: 'evict-oldest' } })
  const first = rig.open({ ip: '203.0.113.7:40001' })
  const second = rig.open({ ip: '::ffff:203.0.113.7' })
  assert.deepEqual(states(first, second), ['closing', 'open'])
  // What its handler reads is as Fastify says.
  assert.equal(second.connection.ip, '::ffff:203.0.113.7')
  const third = rig.open({ ip: '2001:db8::1' })
  const one = rig.open({ ip: '[2001:DB8::2]:443' })
  assert.deepEqual(states(second, third, one), ['open', 'closing', 'open'])
  for (const { connection } of [second, one]) void connection.terminate()
  await rig.clock.run(10_000)
  assert.deepEqual([rig.tracker.size, rig.admission.size], [0, 0])

  const strict = setup({ perAddress: { max: 1 } })
  strict.open({ ip: '203.0.113.7' })
  assert.deepEqual([strict.admission.addressed('::ffff:cb00:7107', '/'), strict.admission.opening('203.0.113.7:1', undefined, false, '/'), strict.admission.addressed('203.0.113.8', '/')], ['perAddress', 'perAddress', null])
})

test('who has no address is under no limit of one, on whatever way it came', () => {
  const rig = setup({ perAddress: { max: 1 } })
  const all = [rig.open({ ip: '' }), rig.open({ ip: '' })]
  assert.deepEqual(states(...all), ['open', 'open'])
  assert.deepEqual([rig.admission.addressed('', '/'), rig.admission.addressed(undefined, '/'), rig.admission.opening('', undefined, false, '/')], [null, null, null])
})

test('limits of an owner and of an address count each by itself', () => {
  const rig = setup({ perOwner: { max: 1 }, perAddress: { max: 2 } })
  const pairs = [
    rig.open({ owner: 'ann', ip: '1' }), rig.open({ owner: 'ann', ip: '2' }), rig.open({ owner: 'bob', ip: '1' }),
    rig.open({ owner: 'eve', ip: '1' }), rig.open({ ip: '2' }), rig.open({ ip: '2' })
  ]
  assert.deepEqual(states(...pairs), ['open', 'closing', 'open', 'closing', 'open', 'open'])
  assert.deepEqual(rig.refusals.map((refusal) => (refusal as { reason: string }).reason), ['perOwner', 'perAddress'])
  assert.deepEqual([rig.admission.addressed('1', '/'), rig.admission.addressed('3', '/')], ['perAddress', null])
  assert.deepEqual([rig.admission.opening('3', 'ann', true, '/'), rig.admission.opening('3', 'zoe', true, '/'), rig.admission.opening('1', 'zoe', false, '/')], ['perOwner', null, 'perAddress'])
})

test('an eviction hits the one whose limit it is', () => {
  const rig = setup({ perOwner: { max: 1, policy: 'evict-oldest' } })
  const [bob, ann, newer] = [rig.open({ owner: 'bob' }), rig.open({ owner: 'ann' }), rig.open({ owner: 'ann' })]
  assert.deepEqual(states(bob, ann, newer), ['open', 'closing', 'open'])
})

test('setOwner says whether the connection may stay, and closes it where it may not', () => {
  const rig = setup({ perOwner: { max: 1 } })
  const [a, b] = [rig.open({ owner: 'ann' }), rig.open()]
  assert.deepEqual([b.connection.setOwner('bob'), b.connection.setOwner('bob'), b.connection.setOwner(undefined), b.connection.setOwner('ann')], [true, true, true, false])
  assert.deepEqual([states(a, b), b.socket.closeFrame], [['open', 'closing'], { code: 1013, reason: 'no room; retry=1000' }])
})

test('setOwner evicts where that is the policy, and the old owner has its place back', () => {
  const rig = setup({ perOwner: { max: 1, policy: 'evict-oldest' } })
  const [a, b] = [rig.open({ owner: 'ann' }), rig.open({ owner: 'bob' })]
  assert.equal(b.connection.setOwner('ann'), true)
  assert.deepEqual(states(a, b), ['closing', 'open'])
  const c = rig.open({ owner: 'bob' })
  assert.deepEqual(states(b, c), ['open', 'open'])
})

test('setOwner asks about the owner only: a handshake that waits at the limit for all does not cost a connection its own', () => {
  const rig = setup({ total: { max: 10, policy: 'evict-oldest' }, perOwner: { max: 5 } })
  for (let i = 0; i < 10; i++) rig.open()
  // The minute's evictions under the limit for all are spent.
  for (let i = 0; i < 9; i++) {
    rig.open()
    rig.clock.tick(100)
  }
  const last = rig.open()
  rig.clock.tick(100)
  assert.equal(last.connection.state, 'open')
  rig.admission.arrived('/')
  assert.equal(last.connection.setOwner('ann'), true)
  assert.equal(last.connection.state, 'open')
})

test('no connection is evicted in vain: one victim makes room under every limit that counts it', () => {
  const rig = setup({ total: { max: 3, policy: 'evict-oldest' }, perOwner: { max: 2, policy: 'evict-oldest' } })
  const [a, b, c] = [rig.open({ owner: 'ann' }), rig.open({ owner: 'ann' }), rig.open({ owner: 'bob' })]
  assert.deepEqual(states(a, b, c, rig.open({ owner: 'ann' })), ['closing', 'open', 'open', 'open'])
  const other = setup({ total: { max: 3, policy: 'evict-oldest' }, perOwner: { max: 2, policy: 'evict-oldest' } })
  const [d, e, f] = [other.open({ owner: 'bob' }), other.open({ owner: 'ann' }), other.open({ owner: 'ann' })]
  assert.deepEqual(states(d, e, f, other.open({ owner: 'ann' })), ['open', 'closing', 'open', 'open'])
})

test('connections that are closing cannot be evicted: the new one is admitted under the ceiling, the next is not', () => {
  for (const limits of [{ total: { max: 1, policy: 'evict-oldest' } }, { perOwner: { max: 1, policy: 'evict-idlest' } }, { perAddress: { max: 1, policy: 'evict-oldest' } }] as Limits[]) {
    const rig = setup(limits)
    const a = rig.open({ peer: 'silent', owner: 'ann' })
    void a.connection.close().catch(() => {})
    const [b, c] = [rig.open({ owner: 'ann' }), rig.open({ owner: 'ann' })]
    assert.deepEqual(states(a, b, c), ['closing', 'open', 'closing'])
    assert.equal(c.socket.closeFrame!.code, 1013)
  }
})

test('two clients of one owner evict each other ten times a minute, then the new one is refused', async () => {
  const rig = setup({ perOwner: { max: 1, policy: 'evict-oldest' } })
  let evicted = 0
  for (let i = 0; i < 40; i++) {
    rig.open({ owner: 'ann' })
    await rig.clock.run(100)
    evicted = rig.tracker.stats().closed.replaced ?? 0
  }
  assert.deepEqual([evicted, rig.tracker.stats().closed.refused, rig.tracker.size], [10, 29, 1])
  await rig.clock.run(60_000)
  rig.open({ owner: 'ann' })
  assert.equal(rig.admission.opening('1', 'ann', true, '/'), 'perOwner')
  await rig.clock.run(100)
  assert.equal(rig.tracker.stats().closed.replaced, 11)
})

for (const end of ['is closed', 'leaves', 'is lost', 'is terminated', 'is evicted', 'is refused'] as const) {
  test(`nothing remains of a connection that ${end}`, async () => {
    const rig = setup({ total: { max: 1, policy: end === 'is evicted' ? 'evict-oldest' : 'refuse' }, perOwner: { max: 1 }, perAddress: { max: 1 } })
    const pair = rig.open({ owner: 'ann' })
    if (end === 'is closed') void pair.connection.close().catch(() => {})
    if (end === 'leaves') pair.socket.peerCloses()
    if (end === 'is lost') pair.socket.rawGone()
    if (end === 'is terminated') void pair.connection.terminate().catch(() => {})
    if (end === 'is evicted' || end === 'is refused') rig.open({ owner: 'bob', ip: '2' })
    await rig.clock.run(100)
    rig.tracker.disconnect('all')
    await rig.clock.run(5_000)
    assert.deepEqual([rig.admission.size, rig.tracker.leftovers, rig.clock.pendingTimers], [0, 0, 0])
  })
}

test('one that was closed before it was announced takes no place', async () => {
  const rig = setup({ total: { max: 1 } })
  const pair = rig.accept()
  void pair.connection.close().catch(() => {})
  rig.tracker.opened(pair.connection)
  assert.equal(rig.admission.size, 0)
  assert.equal(rig.open().connection.state, 'open')
})

test('50,000 refusals leave nothing', async () => {
  const { admission } = setup({ total: { max: 1 }, perOwner: { max: 1 }, perAddress: { max: 1 }, handshakes: { max: 1 } })
  admission.arrived('/')
  for (let i = 0; i < 50_000; i++) {
    assert.notEqual(admission.arrived('/'), null)
    admission.left()
  }
  admission.left()
  assert.equal(admission.size, 0)
})

// ——— observe

const OVER: Array<[policy: 'total' | 'perOwner' | 'perAddress', limits: Limits]> = (['total', 'perOwner', 'perAddress'] as const).flatMap((policy) =>
  (['refuse', 'evict-oldest', 'evict-idlest'] as const).map((kind): [typeof policy, Limits] => [policy, { [policy]: { max: 1, policy: kind } }]))

for (const [policy, limits] of OVER) {
  test(`observe: ${JSON.stringify(limits)} refuses and evicts no connection, and tells each case once`, async () => {
    const rig = setup(limits, { mode: { [policy]: 'observe' } })
    const told: string[] = []
    rig.tracker.on('observed', (observation) => { told.push(`${observation.policy} ${observation.action} ${observation.path}`) })
    for (let i = 0; i < 5; i++) {
      // As a handshake goes: it arrives, its address is known, it would open, it is open.
      assert.equal(rig.admission.arrived('/chat'), null)
      assert.equal(rig.admission.addressed('127.0.0.1', '/chat'), null)
      assert.equal(rig.admission.opening('127.0.0.1', 'ann', true, '/chat'), null)
      rig.admission.left()
      assert.equal(rig.open({ owner: 'ann' }).connection.state, 'open')
      await rig.clock.run(100)
    }
    const action = limits[policy] && (limits[policy] as { policy: string }).policy === 'refuse' ? 'refuse' : 'evict'
    assert.equal(told.length, 4)
    for (const [i, line] of told.entries()) assert.match(line, new RegExp(`^${policy} ${i === 0 ? action : '(refuse|evict)'} /chat$`))
    assert.deepEqual([rig.tracker.stats().observed, rig.tracker.size, rig.refusals], [{ [policy]: 4 }, 5, []])
    rig.tracker.disconnect('all')
    await rig.clock.run(70_000)
    assert.deepEqual([rig.admission.size, rig.tracker.leftovers], [0, 0])
  })
}

test('observe: no handshake is refused, and each case is counted', () => {
  const { admission, tracker } = setup({ handshakes: { max: 1 } }, { mode: { handshakes: 'observe' } })
  assert.deepEqual([admission.arrived('/'), admission.arrived('/'), admission.arrived('/')], [null, null, null])
  assert.deepEqual(tracker.stats().observed, { handshakes: 2 })
})

test('observe: setOwner says that it may stay, and names the connection that might not have', () => {
  const rig = setup({ perOwner: { max: 1 } }, { mode: { perOwner: 'observe' } })
  const told: unknown[] = []
  rig.tracker.on('observed', ({ policy, connection }) => { told.push([policy, connection?.id]) })
  rig.open({ owner: 'ann' })
  const { connection } = rig.open()
  assert.deepEqual([connection.setOwner('ann'), connection.state, told], [true, 'open', [['perOwner', connection.id]]])
})

test('an owner that is set later takes a place, and one that was evicted and is gone none', async () => {
  const { open } = setup({ perOwner: { max: 1 } })
  assert.equal(open().connection.setOwner('ann'), true)
  assert.equal(open({ owner: 'ann' }).connection.state, 'closing')

  const rig = setup({ perAddress: { max: 2, policy: 'evict-oldest' } })
  const [a, b, c] = [rig.open(), rig.open(), rig.open()]
  await rig.clock.run(100)
  assert.deepEqual(states(a, b, c), ['closed', 'open', 'open'])
  void b.connection.close()
  await rig.clock.run(100)
  assert.deepEqual([states(rig.open()), states(c)], [['open'], ['open']])
})

test('what is left is every place and every key', () => {
  const { admission, open } = setup({ total: { max: 9 }, perOwner: { max: 9 }, perAddress: { max: 9 } })
  open({ owner: 'ann' })
  admission.arrived('/')
  assert.equal(admission.size, 4)
})
