import assert from 'node:assert/strict'
import test from 'node:test'
import { MessageQueue } from '../../lib/connection/message-queue.ts'
import type { Message } from '../../lib/connection/connection.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

/** A queue, and what it asked of its connection, in order. */
function setup (mark = 1000) {
  const asked: string[] = []
  let working = 0
  let dropped = 0
  const queue = new MessageQueue({
    pause: () => { asked.push('pause') },
    resume: () => { asked.push('resume') },
    work: { start: () => { working++ }, end: () => { working-- } },
    trace: () => null,
    drop: (count) => { dropped += count }
  }, mark)
  return { queue, asked, flush: () => new FakeClock().flush(), get working () { return working }, get dropped () { return dropped } }
}

const DONE = { done: true, value: undefined }
const value = (message: Message) => ({ done: false, value: message })

/** 36 bytes, so that one costs 100 with its overhead. */
const HUNDRED = 'x'.repeat(36)

test('messages come out in the order of their arrival', async () => {
  const { queue } = setup()
  const binary = Buffer.from([1, 2])
  for (const message of ['a', binary, '']) queue.push(message)
  assert.deepEqual(await queue.next(), value('a'))
  assert.equal((await queue.next()).value, binary)
  assert.deepEqual(await queue.next(), value(''))
})

test('a consumer that waits gets the next message', async () => {
  const { queue } = setup()
  const next = queue.next()
  assert.equal(queue.push('a'), true)
  assert.deepEqual(await next, value('a'))
})

test('the queue is its own iterator', () => {
  const { queue } = setup()
  assert.equal(queue[Symbol.asyncIterator](), queue)
})

test('for await sees every message and ends with the queue', async () => {
  const setup_ = setup()
  const { queue, flush } = setup_
  const seen: Message[] = []
  const loop = (async () => { for await (const message of queue) seen.push(message) })()
  for (const message of ['a', 'b']) queue.push(message)
  await flush()
  queue.push('c')
  await flush()
  queue.stop()
  await loop
  assert.deepEqual([seen, setup_.working, setup_.dropped], [['a', 'b', 'c'], 0, 0])
})

test('a message is work from when the consumer has it until it asks for the next one', async () => {
  const setup_ = setup()
  const { queue } = setup_
  queue.push('a')
  queue.push('b')
  assert.equal(setup_.working, 0)
  await queue.next()
  assert.equal(setup_.working, 1)
  await queue.next()
  assert.equal(setup_.working, 1)
  const waiting = queue.next()
  assert.equal(setup_.working, 0)
  queue.push('c')
  // At once, not when the consumer wakes up: a drain must not slip in between.
  assert.equal(setup_.working, 1)
  await waiting
  assert.equal(setup_.working, 1)
})

for (const [how, leave] of [['break', () => false], ['throw', () => { throw new Error('of the consumer') }]] as Array<[string, () => boolean]>) {
  test(`a consumer that leaves with ${how} no longer works, and what is queued is dropped`, async () => {
    const setup_ = setup()
    const { queue } = setup_
    for (const message of ['a', 'b', 'c']) queue.push(message)
    const seen: Message[] = []
    await (async () => {
      for await (const message of queue) {
        seen.push(message)
        if (!leave()) break
      }
    })().catch(({ message }: Error) => { assert.equal(message, 'of the consumer') })
    assert.deepEqual([seen, setup_.working, setup_.dropped], [['a'], 0, 2])
    assert.equal(queue.push('d'), false)
    assert.deepEqual(await queue.next(), DONE)
  })
}

test('two calls of next are served in order and are one consumer', async () => {
  const setup_ = setup()
  const { queue } = setup_
  const both = Promise.all([queue.next(), queue.next()])
  queue.push('a')
  queue.push('b')
  assert.equal(setup_.working, 1)
  assert.deepEqual(await both, [value('a'), value('b')])
  const end = queue.next()
  assert.equal(setup_.working, 0)
  queue.end()
  assert.deepEqual(await end, DONE)
})

test('return while next waits ends both', async () => {
  const setup_ = setup()
  const { queue } = setup_
  const waiting = queue.next()
  assert.deepEqual(await queue.return(), DONE)
  assert.deepEqual(await waiting, DONE)
  assert.deepEqual(await queue.return(), DONE)
  assert.equal(setup_.working, 0)
})

test('at the mark the socket is paused, once; below it, it is resumed', async () => {
  const { queue, asked } = setup(300)
  queue.push(HUNDRED)
  queue.push(HUNDRED)
  assert.deepEqual(asked, [])
  queue.push(HUNDRED)
  queue.push(HUNDRED)
  assert.deepEqual(asked, ['pause'])
  await queue.next()
  assert.deepEqual(asked, ['pause'])
  await queue.next()
  assert.deepEqual(asked, ['pause', 'resume'])
  queue.push(HUNDRED)
  assert.deepEqual(asked, ['pause', 'resume', 'pause'])
})

test('what comes over the mark is kept: a chunk cannot be stopped in the middle', async () => {
  const setup_ = setup(100)
  for (let i = 0; i < 500; i++) assert.equal(setup_.queue.push(`${i}`), true)
  for (let i = 0; i < 500; i++) assert.deepEqual(await setup_.queue.next(), value(`${i}`))
  assert.deepEqual([setup_.asked, setup_.dropped], [['pause', 'resume'], 0])
})

test('empty messages count too', () => {
  const { queue, asked } = setup(640)
  for (let i = 0; i < 9; i++) queue.push('')
  assert.deepEqual(asked, [])
  queue.push('')
  assert.deepEqual(asked, ['pause'])
})

test('a message that goes to a waiting consumer does not count', () => {
  const { queue, asked } = setup(100)
  void queue.next()
  queue.push('x'.repeat(10_000))
  assert.deepEqual(asked, [])
})

test('thousands of queued messages come out in order', async () => {
  const { queue } = setup(1e9)
  for (let i = 0; i < 5000; i++) queue.push(`${i}`)
  for (let i = 0; i < 3000; i++) assert.equal((await queue.next()).value, `${i}`)
  for (let i = 5000; i < 6000; i++) queue.push(`${i}`)
  for (let i = 3000; i < 6000; i++) assert.equal((await queue.next()).value, `${i}`)
})

test('once stopped it takes nothing new, delivers what is queued, then ends', async () => {
  const setup_ = setup()
  const { queue } = setup_
  queue.push('a')
  queue.push('b')
  queue.stop()
  assert.equal(queue.push('c'), false)
  assert.deepEqual(await queue.next(), value('a'))
  assert.deepEqual(await queue.next(), value('b'))
  assert.equal(setup_.working, 1)
  assert.deepEqual(await queue.next(), DONE)
  assert.deepEqual([setup_.working, setup_.dropped], [0, 0])
})

test('stopping an empty queue ends the wait of its consumers', async () => {
  const { queue } = setup()
  const waiting = [queue.next(), queue.next()]
  queue.stop()
  assert.deepEqual(await Promise.all(waiting), [DONE, DONE])
})

test('stopping resumes the socket: a paused one would hide the peer\'s close frame', () => {
  const { queue, asked } = setup(100)
  queue.push(HUNDRED)
  queue.stop()
  assert.deepEqual(asked, ['pause', 'resume'])
})

test('stopping while the consumer works lets it finish', async () => {
  const setup_ = setup()
  const { queue } = setup_
  queue.push('a')
  await queue.next()
  queue.stop()
  assert.equal(setup_.working, 1)
  assert.deepEqual(await queue.next(), DONE)
  assert.equal(setup_.working, 0)
})

test('ending drops and counts what is queued, resumes the socket and ends the wait', async () => {
  const setup_ = setup(100)
  const { queue } = setup_
  for (let i = 0; i < 3; i++) queue.push(HUNDRED)
  await queue.next()
  queue.end()
  assert.deepEqual([setup_.dropped, setup_.asked], [2, ['pause', 'resume']])
  // The body that holds a message is work until it comes back.
  assert.equal(setup_.working, 1)
  assert.deepEqual(await queue.next(), DONE)
  assert.equal(setup_.working, 0)
})

test('ending twice counts once', () => {
  const setup_ = setup()
  setup_.queue.push('a')
  setup_.queue.end()
  setup_.queue.end()
  setup_.queue.stop()
  assert.equal(setup_.dropped, 1)
})
