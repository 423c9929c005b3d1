/**
 * Handovers on a fake clock: what is stored, when, under which id, and who is given it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { StoredHandovers } from '../../lib/move/handover.ts'
import { LocalHandoverStore } from '../../lib/move/handover-store.ts'
import type { HandoverStore } from '../../lib/move/handover-store.ts'
import { idIn } from '../helpers/handovers.ts'
import { createFakeHost } from '../helpers/fake-host.ts'
import type { Pair } from '../helpers/fake-host.ts'

interface Facts {
  owner?: string
  /** @default '/chat' */
  path?: string
  /** Whether the client offers the protocol. @default true */
  offers?: boolean
}

/** `broken`: methods that replace those of the store. */
function createRig (broken: Partial<HandoverStore> = {}) {
  const host = createFakeHost()
  const store = new LocalHandoverStore(host.clock)
  const moved = new Set<ManagedConnection>()
  let failures = 0
  const handovers = new StoredHandovers({
    clock: host.clock,
    transport: host.transport,
    store: {
      put: (...args) => (broken.put === undefined ? store.put(...args) : broken.put(...args)),
      replace: (...args) => (broken.replace === undefined ? store.replace(...args) : broken.replace(...args)),
      take: (...args) => (broken.take === undefined ? store.take(...args) : broken.take(...args))
    },
    moved: (connection) => moved.has(connection),
    keyOf: () => undefined,
    storeFailed: () => { failures++ }
  })
  host.handovers = handovers
  host.hooks.add(handovers, 'ending', 'closing')
  const connect = ({ owner, path = '/chat', offers = true }: Facts = {}, record?: string): Pair => {
    const pair = host.connect({ peer: 'answers' })
    if (offers) handovers.offered(pair.connection, path, record)
    if (owner !== undefined) pair.connection.setOwner(owner)
    return pair
  }
  return {
    host,
    clock: host.clock,
    store,
    handovers,
    moved,
    get failures () { return failures },
    connect,
    /** A client comes back and offers an id. */
    comeBack (id: string | undefined, facts?: Facts): ManagedConnection {
      const offer: { id: string | undefined, record?: string } = { id }
      assert.equal(handovers.take(offer), null)
      return connect(facts, offer.record).connection
    },
    /** A connection with this state is closed. Returns the id that its client was told. */
    handOver (state: unknown, facts?: Facts, [code, reason]: [code: number, reason: string] = [1012, '']): string | undefined {
      const pair = connect(facts)
      pair.connection.handover(state)
      pair.connection.end('drain', code, reason)
      return idTold(pair)
    }
  }
}

/** The id of the `handover` frame that a client was sent. */
function idTold ({ socket }: Pair): string | undefined {
  for (const frame of socket.frames) {
    const id = frame.type === 'message' ? idIn(frame.data) : undefined
    if (id !== undefined) return id
  }
  return undefined
}

const STATE = { cursor: 7, rooms: ['a', 'b'] }

test('the state waits under an id that the client is told before the close frame', async () => {
  const { host, connect, comeBack } = createRig()
  const pair = connect({ owner: 'ada' })
  pair.connection.handover(STATE)
  pair.connection.end('drain', 1012, 'service restart; retry=1000')
  assert.deepEqual(pair.socket.frames.map(({ type }) => type), ['message', 'close'])
  await host.clock.flush()
  assert.deepEqual(comeBack(idTold(pair), { owner: 'ada' }).handed, STATE)
})

test('ids are random and new', () => {
  const { handOver } = createRig()
  const ids = Array.from({ length: 1000 }, () => handOver(STATE))
  assert.equal(new Set(ids).size, 1000)
})

test('what was handed over is the same object at each reading, and no part of the connection in JSON', () => {
  const { handOver, comeBack } = createRig()
  const next = comeBack(handOver(STATE))
  assert.equal(next.handed, next.handed)
  assert.ok(!JSON.stringify(next).includes('cursor'))
})

test('the last state counts, and undefined is none', () => {
  for (const [states, expected] of [[[1, 2], 2], [[1, undefined], undefined], [[undefined, 1], 1], [[null], null]] as const) {
    const { connect, comeBack } = createRig()
    const pair = connect()
    for (const state of states) pair.connection.handover(state)
    pair.connection.end('drain', 1012, '')
    assert.deepEqual(comeBack(idTold(pair)).handed, expected)
  }
})

test('a state that is refused leaves the last one as it was', () => {
  const { connect, comeBack } = createRig()
  const pair = connect()
  pair.connection.handover('good')
  assert.throws(() => { pair.connection.handover('x'.repeat(5000)) }, { code: 'SOCKETS_ERR_INVALID_HANDOVER' })
  pair.connection.end('drain', 1012, '')
  assert.equal(comeBack(idTold(pair)).handed, 'good')
})

test('the state is that of the call: what changes in the object later is not in it', () => {
  const { connect, comeBack } = createRig()
  const pair = connect()
  const state = { cursor: 1 }
  pair.connection.handover(state)
  state.cursor = 2
  pair.connection.end('drain', 1012, '')
  assert.deepEqual(comeBack(idTold(pair)).handed, { cursor: 1 })
})

test('closes that let the client come back hand over, final ones do not', () => {
  for (const [cause, code, hands] of [
    ['drain', 1012, true], ['leave', 1001, true], ['lifetime', 1012, true], ['rebalance', 1012, true], ['refused', 1013, true],
    ['slow', 4008, true], ['expired', 3000, true], ['idle', 3008, true], ['disconnected', 1012, true], ['application', 1012, true],
    ['disconnected', 3003, false], ['replaced', 4001, false], ['rate', 1008, false], ['error', 1011, false], ['application', 1000, false]
  ] as const) {
    const { connect, store } = createRig()
    const pair = connect()
    pair.connection.handover(STATE)
    pair.connection.end(cause, code, '')
    assert.deepEqual([idTold(pair) !== undefined, store.size], hands ? [true, 1] : [false, 0], `${cause} ${code}`)
  }
})

test('nothing is stored or told without a state, without the offer, or when the client has left or is dead', async () => {
  const { host, connect, store, handovers, handOver } = createRig()
  assert.equal(handOver(undefined), undefined)
  assert.equal(handOver(STATE, { offers: false }), undefined)
  const leaver = connect()
  leaver.connection.handover(STATE)
  await host.leave(leaver)
  const lost = connect()
  lost.connection.handover(STATE)
  lost.connection.kill('heartbeat')
  assert.deepEqual([idTold(leaver), idTold(lost), store.size, handovers.size], [undefined, undefined, 0, 0])
})

test('nothing is stored in the middle of a fragmented message, because the client cannot be told', () => {
  const { connect, store } = createRig()
  const pair = connect()
  pair.connection.handover(STATE)
  pair.socket.send('half', { fin: false })
  pair.connection.end('drain', 1012, '')
  assert.deepEqual([idTold(pair), store.size], [undefined, 0])
})

test('a state is checked without the offer, too', () => {
  const { connect } = createRig()
  assert.throws(() => { connect({ offers: false }).connection.handover(() => {}) }, { code: 'SOCKETS_ERR_INVALID_HANDOVER' })
})

test('a closing connection keeps nothing', () => {
  const { connect, handovers } = createRig()
  const { connection } = connect()
  connection.end('drain', 1012, '')
  connection.handover(STATE)
  assert.equal(handovers.size, 0)
})

test('a state waits for the delay in the reason and 30 seconds', () => {
  for (const [reason, delay] of [['', 0], ['service restart; retry=4210', 4210], ['retry=60000', 60_000], ['no retry', 0]] as const) {
    const { clock, handOver, comeBack, store } = createRig()
    const [a, b] = [handOver(STATE, {}, [1012, reason]), handOver(STATE, {}, [1012, reason])]
    clock.tick(delay + 29_900)
    assert.deepEqual(comeBack(a).handed, STATE)
    clock.tick(200)
    assert.deepEqual([comeBack(b).handed, store.size], [undefined, 0])
  }
})

test('an id gives its state once', () => {
  const { handOver, comeBack } = createRig()
  const id = handOver(STATE)
  assert.deepEqual([comeBack(id).handed, comeBack(id).handed], [STATE, undefined])
})

test('an offer without an id is given nothing', () => {
  const { handOver, comeBack } = createRig()
  handOver(STATE)
  assert.equal(comeBack(undefined).handed, undefined)
})

test('another owner is not given the state, and neither is another path', () => {
  for (const [first, next] of [
    [{ owner: 'ada' }, { owner: 'bob' }], [{ owner: 'ada' }, {}], [{}, { owner: 'ada' }], [{ owner: '' }, {}], [{ owner: 'undefined' }, {}],
    [{ owner: 'ada', path: '/rooms/1' }, { owner: 'ada', path: '/rooms/2' }], [{ owner: 'a","path":"/chat' }, { owner: 'a' }]
  ] as const) {
    const rig = createRig()
    const id = rig.handOver(STATE, first)
    assert.equal(rig.comeBack(id, next).handed, undefined, JSON.stringify([first, next]))
    assert.equal(rig.comeBack(id, first).handed, undefined, 'an id that was offered is used up')
    assert.equal(rig.failures, 0)
  }
})

test('owners and paths may have any character', () => {
  for (const name of ['"', '\\', '\u0000', '\ud83d', '😀', '__proto__']) {
    const { handOver, comeBack } = createRig()
    const facts = { owner: name, path: `/${name}` }
    assert.deepEqual(comeBack(handOver(STATE, facts), facts).handed, STATE)
  }
})

test('an owner that is known after the handshake is given the state then, and only as long as it is the owner', () => {
  const { handOver, comeBack } = createRig()
  const next = comeBack(handOver(STATE, { owner: 'ada' }))
  const seen = [next.handed]
  for (const owner of ['bob', 'ada', undefined]) {
    next.setOwner(owner)
    seen.push(next.handed)
  }
  assert.deepEqual(seen, [undefined, undefined, STATE, undefined])
})

test('the state belongs to the owner of the moment in which it was given', () => {
  const { connect, comeBack } = createRig()
  const pair = connect({ owner: 'ada' })
  pair.connection.handover(STATE)
  pair.connection.setOwner('bob')
  pair.connection.end('drain', 1012, '')
  assert.equal(comeBack(idTold(pair), { owner: 'bob' }).handed, undefined)
})

// ——— moves

/** A client that was asked to move. */
function ask ({ connect, handovers }: ReturnType<typeof createRig>, id: string, delay: number, state?: unknown): Pair {
  const pair = connect()
  pair.connection.handover(state)
  handovers.asked(pair.connection, id, delay)
  return pair
}

test('the state is in the store as soon as the client is asked to move, for its delay and 30 seconds', () => {
  const rig = createRig()
  for (const id of ['a', 'b']) ask(rig, id, 20_000, STATE)
  rig.clock.tick(49_900)
  assert.deepEqual(rig.comeBack('a').handed, STATE)
  rig.clock.tick(200)
  assert.equal(rig.comeBack('b').handed, undefined)
})

test('until the client moves, each change of the state is stored; after that none', () => {
  const rig = createRig()
  const { connection } = ask(rig, 'a', 0)
  assert.equal(rig.store.size, 0)
  for (const cursor of [1, 2, 3]) connection.handover({ cursor })
  assert.deepEqual(rig.comeBack('a').handed, { cursor: 3 })
  connection.handover({ cursor: 4 })
  assert.equal(rig.store.size, 0)
})

test('a state that was taken back is not given, and one that follows is', () => {
  const rig = createRig()
  const [a, b] = [ask(rig, 'a', 0, STATE), ask(rig, 'b', 0, STATE)]
  for (const { connection } of [a, b]) connection.handover(undefined)
  b.connection.handover('again')
  assert.deepEqual([rig.comeBack('a').handed, rig.comeBack('b').handed, rig.failures], [undefined, 'again', 0])
})

test('a second request to move counts its time anew', () => {
  const rig = createRig()
  const { connection } = ask(rig, 'a', 0, STATE)
  rig.handovers.asked(connection, 'a', 60_000)
  assert.equal(rig.store.size, 1)
  rig.clock.tick(80_000)
  connection.handover('later')
  assert.equal(rig.comeBack('a').handed, 'later')
})

test('long after the time of the move nothing is stored any more', () => {
  const rig = createRig()
  const { connection } = ask(rig, 'a', 0)
  rig.clock.tick(30_000)
  connection.handover(STATE)
  assert.equal(rig.store.size, 0)
})

test('a client that has moved is handed nothing at the close', () => {
  const rig = createRig()
  const pair = ask(rig, 'a', 0, STATE)
  rig.comeBack('a')
  rig.moved.add(pair.connection)
  pair.connection.end('drain', 1012, '')
  assert.deepEqual([idTold(pair), rig.store.size], [undefined, 0])
})

test('a client whose move has failed gets a new id at the close, and the old one is worth nothing', () => {
  const rig = createRig()
  const pair = ask(rig, 'a', 0, STATE)
  pair.connection.end('drain', 1012, '')
  assert.deepEqual([rig.comeBack('a').handed, rig.comeBack(idTold(pair)).handed], [undefined, STATE])
})

// ——— stores

test('a store may answer later', async () => {
  const rig = createRig({ take: async (id) => { await Promise.resolve(); return rig.store.take(id) } })
  const offer: { id: string | undefined, record?: string } = { id: rig.handOver(STATE) }
  await rig.handovers.take(offer)
  assert.deepEqual(rig.connect({}, offer.record).connection.handed, STATE)
})

test('a store that throws, or rejects, loses the state and nothing else', async () => {
  const broken = (): never => { throw new Error('down') }
  const rejecting = (): Promise<never> => Promise.reject(new Error('down'))
  for (const fail of [broken, rejecting]) {
    const rig = createRig({ put: fail, replace: fail, take: fail })
    const pair = ask(rig, 'a', 0, STATE)
    pair.connection.handover(STATE)
    pair.connection.end('drain', 1012, 'bye')
    assert.equal(pair.socket.closeFrame?.reason, 'bye')
    const offer: { id: string | undefined, record?: string } = { id: idTold(pair) }
    await rig.handovers.take(offer)
    assert.equal(offer.record, undefined)
    await rig.clock.flush()
    assert.equal(rig.failures, 5)
  }
})

test('a store that gives anything but a record gives nothing', () => {
  for (const [record, failures] of [
    [null, 0], [undefined, 0], ['', 0], ['{', 1], ['null', 1], ['{}', 0], ['{"path":"/chat"}', 1], ['{"path":"/chat","state":"{"}', 1],
    ['{"path":"/other","state":"1"}', 0], [5, 0], [{}, 1]
  ] as const) {
    const rig = createRig({ take: () => record as string })
    assert.equal(rig.comeBack('a').handed, undefined)
    assert.equal(rig.failures, failures, String(record))
  }
})
