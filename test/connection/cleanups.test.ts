import assert from 'node:assert/strict'
import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { CleanupStack, insideCleanup } from '../../lib/connection/cleanups.ts'
import { Deadlines } from '../../lib/base/deadlines.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { createJob } from '../helpers/job.ts'

/** A stack with a time of 1000 ms a cleanup, and what it told, in order. */
function setup () {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const told: string[] = []
  const stack = new CleanupStack(deadlines, 1000, {
    callAtEnd: (call) => call(),
    cleanupTook: () => {},
    cleanupFinished: () => { told.push('finished') },
    cleanupFailed: (error) => { told.push(`failed: ${error instanceof Error ? error.message : String(error)}`) },
    cleanupAbandoned: (cleanup) => { told.push(`abandoned: ${cleanup.name}`) },
    cleanupsSettled: () => { told.push('settled') }
  })
  return { clock, deadlines, told, stack }
}

test('cleanups run last in, first out', () => {
  const { stack } = setup()
  const order: number[] = []
  for (let i = 1; i <= 3; i++) stack.push(() => { order.push(i) })
  stack.run()
  assert.deepEqual(order, [3, 2, 1])
})

test('nothing runs before the stack is started', () => {
  const { stack, told } = setup()
  stack.push(() => assert.fail('ran'))
  assert.deepEqual([told, stack.settled], [[], false])
})

test('a stack of nothing is settled as soon as it is started', () => {
  const { stack, told } = setup()
  stack.run()
  assert.deepEqual([told, stack.settled], [['settled'], true])
})

test('the next cleanup starts when the promise of the one before has settled', async () => {
  const { stack, clock, told } = setup()
  const [first, second] = [createJob(), createJob()]
  const started: string[] = []
  stack.push(() => { started.push('second'); return second.promise })
  stack.push(() => { started.push('first'); return first.promise })
  stack.run()
  await clock.flush()
  assert.deepEqual(started, ['first'])
  first.done()
  await clock.flush()
  assert.deepEqual(started, ['first', 'second'])
  assert.deepEqual([told, stack.settled], [['finished'], false])
  second.done()
  await clock.flush()
  assert.deepEqual([told, stack.settled], [['finished', 'finished', 'settled'], true])
})

test('a cleanup that throws or rejects stops no other', async () => {
  const { stack, clock, told } = setup()
  stack.push(() => {})
  stack.push(async () => { throw new Error('rejected') })
  stack.push(() => { throw new Error('thrown') })
  stack.run()
  await clock.flush()
  assert.deepEqual(told, ['failed: thrown', 'failed: rejected', 'finished', 'settled'])
})

for (const thrown of [null, undefined, 0, 'text']) {
  test(`a cleanup may throw ${JSON.stringify(thrown)}`, async () => {
    const { stack, clock, told } = setup()
    stack.push(() => { throw thrown })
    stack.push(() => Promise.reject(thrown))
    stack.run()
    await clock.flush()
    assert.deepEqual(told, [`failed: ${thrown}`, `failed: ${thrown}`, 'settled'])
  })
}

test('a cleanup that hangs is given up after its time and named, and the next one starts', async () => {
  const { stack, clock, told, deadlines } = setup()
  stack.push(() => {})
  stack.push(function closeDatabase () { return new Promise(() => {}) })
  stack.run()
  await clock.run(999)
  assert.deepEqual(told, [])
  await clock.run(60)
  assert.deepEqual(told, ['abandoned: closeDatabase', 'finished', 'settled'])
  assert.deepEqual([deadlines.size, clock.idle], [0, true])
})

for (const end of ['done', 'fail'] as const) {
  test(`a cleanup that was given up tells no more when it is ${end} after all`, async () => {
    const { stack, clock, told } = setup()
    const late = createJob()
    stack.push(function late_ () { return late.promise })
    stack.run()
    await clock.run(1100)
    late[end](new Error('too late'))
    await clock.flush()
    assert.deepEqual(told, ['abandoned: late_', 'settled'])
  })
}

test('a cleanup that has settled leaves no deadline', async () => {
  const { stack, clock, deadlines } = setup()
  stack.push(async () => {})
  stack.run()
  assert.equal(deadlines.size, 1)
  await clock.flush()
  assert.deepEqual([deadlines.size, clock.idle], [0, true])
})

test('synchronous cleanups make no timer', () => {
  const { stack, clock } = setup()
  for (let i = 0; i < 10; i++) stack.push(() => {})
  stack.run()
  assert.deepEqual([clock.timersMade, clock.immediatesMade], [0, 0])
})

test('ten thousand synchronous cleanups are no deep recursion', () => {
  const { stack, told } = setup()
  for (let i = 0; i < 10_000; i++) stack.push(() => {})
  stack.run()
  assert.equal(told.length, 10_001)
})

test('a cleanup added to a running stack starts at once, and counts', async () => {
  const { stack, clock, told } = setup()
  const [running, late] = [createJob(), createJob()]
  let started = false
  stack.push(() => running.promise)
  stack.run()
  stack.push(() => { started = true; return late.promise })
  assert.equal(started, true)
  running.done()
  await clock.flush()
  assert.deepEqual([told, stack.settled], [['finished'], false])
  late.done()
  await clock.flush()
  assert.deepEqual([told, stack.settled], [['finished', 'finished', 'settled'], true])
})

test('a late cleanup does not let the next of the stack start sooner', async () => {
  const { stack, clock } = setup()
  const first = createJob()
  const started: string[] = []
  stack.push(() => { started.push('second') })
  stack.push(() => first.promise)
  stack.run()
  stack.push(() => { started.push('late') })
  stack.push(async () => { started.push('late async') })
  await clock.flush()
  assert.deepEqual(started, ['late', 'late async'])
  first.done()
  await clock.flush()
  assert.deepEqual(started, ['late', 'late async', 'second'])
})

test('a cleanup added by a cleanup runs within it, and the stack settles once', () => {
  const { stack, told } = setup()
  const order: string[] = []
  stack.push(() => { order.push('outer') })
  stack.push(() => {
    order.push('inner starts')
    stack.push(() => { order.push('nested') })
    order.push('inner ends')
  })
  stack.run()
  assert.deepEqual(order, ['inner starts', 'nested', 'inner ends', 'outer'])
  assert.deepEqual(told, ['finished', 'finished', 'finished', 'settled'])
})

test('a late cleanup that adds another does not settle the stack in the middle', async () => {
  const { stack, clock, told } = setup()
  stack.run()
  told.length = 0
  stack.push(async () => {
    stack.push(async () => {})
    await Promise.resolve()
    stack.push(() => {})
  })
  await clock.flush()
  assert.deepEqual(told, ['finished', 'finished', 'finished', 'settled'])
})

test('a late cleanup whose synchronous part adds another settles the stack once, after its own end', () => {
  const { stack, told } = setup()
  stack.run()
  told.length = 0
  stack.push(() => {
    stack.push(() => {})
    told.push('its own end')
  })
  assert.deepEqual(told, ['finished', 'its own end', 'finished', 'settled'])
})

test('startAll starts all cleanups that wait, last in first, without waiting for each other', async () => {
  const { stack, clock, told } = setup()
  const jobs = [createJob(), createJob(), createJob()]
  const started: number[] = []
  jobs.forEach(({ promise }, i) => { stack.push(() => { started.push(i); return promise }) })
  stack.run()
  assert.deepEqual(started, [2])
  stack.startAll()
  assert.deepEqual(started, [2, 1, 0])
  for (const { done } of jobs) done()
  await clock.flush()
  assert.deepEqual(told, ['finished', 'finished', 'finished', 'settled'])
})

test('giving up starts what waits and abandons what does not end at once', async () => {
  const { stack, clock, told, deadlines } = setup()
  stack.push(function quick () {})
  stack.push(function waits () { return new Promise(() => {}) })
  stack.push(function runs () { return new Promise(() => {}) })
  stack.run()
  stack.giveUp()
  assert.deepEqual(told, ['finished', 'abandoned: runs', 'abandoned: waits', 'settled'])
  assert.equal(deadlines.size, 0)
  await clock.run(2000)
  assert.equal(told.length, 4)
})

test('giving up a stack that has settled tells nothing', () => {
  const { stack, told } = setup()
  stack.run()
  told.length = 0
  stack.giveUp()
  assert.deepEqual(told, [])
})

test('a stack given up from within one of its cleanups settles once, after it', () => {
  const { stack, told } = setup()
  stack.push(function hangs () { return new Promise(() => {}) })
  stack.push(() => { stack.giveUp() })
  stack.run()
  assert.deepEqual(told, ['abandoned: hangs', 'finished', 'settled'])
})

test('the stack knows when the synchronous part of one of its cleanups runs', async () => {
  const { stack, clock } = setup()
  const seen: boolean[] = []
  const look = () => { seen.push(stack.active, insideCleanup()) }
  stack.push(async () => {
    look()
    await Promise.resolve()
    look()
  })
  look()
  stack.run()
  look()
  await clock.flush()
  assert.deepEqual(seen, [false, false, true, true, false, false, false, false])
})

test('of nested stacks the innermost is active', () => {
  const [outer, inner] = [setup().stack, setup().stack]
  const seen: boolean[] = []
  inner.push(() => { seen.push(outer.active, inner.active) })
  outer.push(() => {
    inner.run()
    seen.push(outer.active, inner.active)
  })
  outer.run()
  assert.deepEqual(seen, [false, true, true, false])
  assert.equal(insideCleanup(), false)
})

test('a cleanup that throws does not leave its stack active', () => {
  const { stack } = setup()
  stack.push(() => { throw new Error('thrown') })
  stack.run()
  assert.deepEqual([stack.active, insideCleanup()], [false, false])
})

test('an observer that throws does not leave the stack active', () => {
  const deadlines = new Deadlines(new FakeClock())
  const stack = new CleanupStack(deadlines, 1000, {
    callAtEnd: (call) => call(),
    cleanupTook () {},
    cleanupFinished () {},
    // A logger that reads what was thrown, and trips over a getter.
    cleanupFailed (error) { String((error as Error).message) },
    cleanupAbandoned () {},
    cleanupsSettled () {}
  })
  stack.push(() => { throw Object.defineProperty({}, 'message', { get () { throw new Error('gotcha') } }) })
  try { stack.run() } catch {}
  assert.equal(insideCleanup(), false)
})

test('a query builder that starts with each call of then is started once', async () => {
  const { stack, clock, told } = setup()
  let queries = 0
  const query = {
    then (resolve: (value: unknown) => void, reject: (error: unknown) => void) {
      queries++
      return Promise.resolve('rows').then(resolve, reject)
    }
  }
  stack.push(() => query)
  stack.run()
  await clock.flush()
  assert.equal(queries, 1)
  assert.deepEqual(told, ['finished', 'settled'])
})

const BROKEN: Array<[what: string, then: (resolve: (value?: unknown) => void, reject: (error: unknown) => void) => void, told: string]> = [
  ['throws', () => { throw new Error('broken') }, 'failed: broken'],
  ['resolves, then throws', (resolve) => { resolve(); throw new Error('broken') }, 'finished'],
  ['rejects, then throws', (_resolve, reject) => { reject(new Error('first')); throw new Error('second') }, 'failed: first'],
  ['resolves twice', (resolve) => { resolve(); resolve() }, 'finished'],
  ['resolves and rejects', (resolve, reject) => { resolve(); reject(new Error('broken')) }, 'finished'],
  ['rejects twice', (_resolve, reject) => { reject(new Error('first')); reject(new Error('second')) }, 'failed: first']
]
for (const [what, then, expected] of BROKEN) {
  test(`a cleanup whose then ${what} counts once`, async () => {
    const { stack, clock, told, deadlines } = setup()
    stack.push(() => ({ then }))
    stack.run()
    await clock.run(2000)
    assert.deepEqual(told, [expected, 'settled'])
    assert.equal(deadlines.size, 0)
  })
}

test('a cleanup may return something with a throwing then getter', async () => {
  const { stack, clock, told } = setup()
  stack.push(() => Object.defineProperty({}, 'then', { get () { throw new Error('gotcha') } }))
  stack.run()
  await clock.flush()
  assert.deepEqual(told, ['finished', 'settled'])
})

// ——— taking back

test('a cleanup that was taken back does not run, and the others keep their order', () => {
  const { stack, told } = setup()
  const order: string[] = []
  const add = (name: string) => stack.push(() => { order.push(name) })
  const [, takeBackB, , takeBackD] = [add('a'), add('b'), add('c'), add('d')]
  takeBackB()
  takeBackD()
  add('e')
  stack.run()
  assert.deepEqual([order, told], [['e', 'c', 'a'], ['finished', 'finished', 'finished', 'settled']])
})

test('taking back twice takes one back, also where one function is there several times', () => {
  const { stack } = setup()
  const order: string[] = []
  const twice = () => { order.push('twice') }
  const takeBack = stack.push(twice)
  stack.push(() => { order.push('between') })
  stack.push(twice)
  takeBack()
  takeBack()
  stack.run()
  takeBack()
  assert.deepEqual(order, ['twice', 'between'])
})

test('a stack whose cleanups were all taken back is settled, and as soon as it is started', () => {
  const { stack, told } = setup()
  for (const takeBack of [stack.push(() => assert.fail('ran')), stack.push(() => assert.fail('ran'))]) takeBack()
  assert.equal(stack.settled, true)
  stack.run()
  assert.deepEqual(told, ['settled'])
})

test('what has started is not taken back: neither when it runs, nor when it has run, nor when it was added late', async () => {
  const { stack, clock, told, deadlines } = setup()
  const running = createJob()
  const takeBack = stack.push(() => running.promise)
  stack.run()
  takeBack()
  assert.equal(stack.settled, false)
  running.done()
  await clock.flush()
  takeBack()
  const late = createJob()
  const takeBackLate = stack.push(() => late.promise)
  takeBackLate()
  assert.equal(stack.settled, false)
  late.done()
  await clock.flush()
  takeBackLate()
  assert.deepEqual([told, deadlines.size], [['finished', 'settled', 'finished', 'settled'], 0])
})

test('one that waits for another is taken back, by that other too', async () => {
  const { stack, clock, told } = setup()
  const order: string[] = []
  stack.push(() => { order.push('first in') })
  const takeBack = [stack.push(() => assert.fail('ran')), stack.push(() => assert.fail('ran'))]
  const work = createJob()
  stack.push(() => { order.push('last in'); takeBack[0]!(); return work.promise })
  stack.run()
  takeBack[1]!()
  work.done()
  await clock.flush()
  assert.deepEqual([order, told], [['last in', 'first in'], ['finished', 'finished', 'settled']])
})

test('the last that waits is taken back while another runs: the stack settles with that one', async () => {
  const { stack, clock, told } = setup()
  const takeBack = stack.push(() => assert.fail('ran'))
  stack.push(() => new Promise(() => {}))
  stack.run()
  takeBack()
  await clock.run(1000)
  assert.deepEqual(told, ['abandoned: ', 'settled'])
})

test('a cleanup that was taken back or has run is not kept by the function that takes it back, and none piles up in a stack in use', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { stack } = setup()
  stack.push(() => {})
  const refs: Array<WeakRef<() => void>> = []
  const add = () => {
    const cleanup = () => {}
    refs.push(new WeakRef(cleanup))
    return stack.push(cleanup)
  }
  // Overlapping, as work on a connection that lives long: there is always one.
  const kept = [add()]
  for (let i = 0; i < 10; i++) {
    kept.push(add())
    kept.at(-2)!()
  }
  stack.run()
  // A WeakRef holds until the end of the turn.
  await new Promise((resolve) => { setImmediate(resolve) })
  collect()
  assert.deepEqual(refs.map((ref) => ref.deref() !== undefined), refs.map(() => false))
  for (const takeBack of kept) takeBack()
})
