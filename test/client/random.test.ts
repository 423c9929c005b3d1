/**
 * What a server, a network and an application do, in random order: a socket of the class tells what any WebSocket may tell, and
 * leaves nothing behind.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { lifecycle } from '../../lib/client/index.ts'
import type { LifecycleClientOptions } from '../../lib/client/index.ts'
import { generator } from '../helpers/generator.ts'
import { fakeBase, fakeTime, frameFor, newAddress, record } from './fake-base.ts'
import type { FakeSocket } from './fake-base.ts'
import { ID, MOVED } from './move-rig.ts'

const TRIALS = 400
const STEPS = 40

test(`in ${TRIALS} random lives: open, messages once and in the order of their connection, at most one error, one close; then no timer and no connection`, async (t) => {
  const clock = fakeTime(t)
  let moves = 0
  for (let trial = 1; trial <= TRIALS; trial++) {
    const random = generator(trial)
    t.mock.method(Math, 'random', random)
    const oneOf = (number: number) => Math.floor(random() * number)
    const { Base, made } = fakeBase()
    const url = newAddress()
    const answers: Array<() => void> = []
    /** An address that is asked for; some answers come late, or are none. */
    const ask = () => oneOf(4) > 0 ? url : new Promise<string>((resolve, reject) => { answers.push(() => { if (oneOf(3) > 0) resolve(url); else reject(new Error('no')) }) })
    const prepare: LifecycleClientOptions['prepare'] = (next) => {
      const way = oneOf(4)
      if (way === 0) throw new Error('not prepared')
      if (way === 1) return next.message().then(() => () => { if (oneOf(3) === 0) socket.close() })
      return way === 2 ? new Promise(() => {}) : undefined
    }
    const Socket = lifecycle(Base, { timeout: 5_000, prepare: oneOf(2) > 0 ? prepare : undefined })
    if (oneOf(3) === 0) {
      // Another socket makes the address one that is waited for, or wants no attempts.
      void new Socket(url)
      await clock.flush()
      made.at(-1)!.open()
      await clock.flush()
      made.at(-1)!.end(...[[1012, 'retry=700'], [4001, 'replaced']][oneOf(2)] as [number, string])
      await clock.flush()
    }
    const socket = new Socket(oneOf(2) > 0 ? ask : url)
    const events = record(socket)
    for (const type of ['open', 'message']) socket.addEventListener(type, () => { if (oneOf(30) === 0) socket.close() })
    /** Connections on which the messages came. */
    const sources: FakeSocket[] = []
    const receive = (base: FakeSocket) => { base.receive(sources.push(base)) }
    /** What may happen to a connection that is open. */
    const happens: Array<(base: FakeSocket) => void> = [
      receive,
      receive,
      (base) => { base.receive(frameFor(base, { type: 'move', in: oneOf(300), id: ID })) },
      (base) => { if (oneOf(8) === 0) base.fail() },
      (base) => { if (oneOf(8) === 0) base.end([1000, 1012, 4001][oneOf(3)]!, 'gone') },
      (base) => { if (base.sent.includes(MOVED)) base.end(1012, 'moved') }
    ]
    for (let step = 0; step < STEPS; step++) {
      const base = made[oneOf(made.length)]
      if (oneOf(5) === 0) await clock.run(oneOf(2_000))
      else if (oneOf(25) === 0) answers.shift()?.()
      else if (oneOf(30) === 0) socket.close()
      else if (base?.readyState === 0) base.open()
      else if (base?.readyState === 1) happens[oneOf(happens.length)]!(base)
      if (oneOf(3) === 0) await clock.flush()
    }
    socket.close()
    await clock.run(2)
    for (const answer of answers) answer()
    await clock.flush()
    moves += made.filter(({ sent }) => sent.includes(MOVED)).length

    const told = `trial ${trial}: ${events.join(', ')}`
    assert.match(events.map((event) => event.split(' ')[0]).join(' '), /^(open( message)*)? ?(error )?close$/, told)
    assert.equal(socket.readyState, 3, told)
    assert.ok(clock.idle, `a timer is left, ${told}`)
    assert.ok(made.every(({ readyState }) => readyState > 1), `a connection is left, ${told}`)
    const delivered = events.filter((event) => event.startsWith('message')).map((event) => Number(event.slice('message '.length)))
    assert.equal(new Set(delivered).size, delivered.length, told)
    for (const base of made) {
      const ofIts = delivered.filter((number) => sources[number - 1] === base)
      assert.deepEqual(ofIts, ofIts.toSorted((one, other) => one - other), told)
    }
  }
  assert.ok(moves > TRIALS / 20, `${moves} moves`)
})
