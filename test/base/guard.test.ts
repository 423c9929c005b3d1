import assert from 'node:assert/strict'
import test, { mock } from 'node:test'
import type { FastifyBaseLogger } from 'fastify'
import { attempt, guardLog, isThenable, toPromise } from '../../lib/base/guard.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { createLog } from '../helpers/tracker-rig.ts'

test('a call that succeeds returns its value and reports nothing', () => {
  assert.equal(attempt(() => 5, () => assert.fail('failed')), 5)
})

test('a call that throws returns undefined', () => {
  const failures: unknown[] = []
  assert.equal(attempt(() => { throw null }, (error) => { failures.push(error) }), undefined) // eslint-disable-line no-throw-literal -- that is the point
  assert.deepEqual(failures, [null])
})

test('a call may return a promise, which can be awaited', async () => {
  assert.equal(await attempt(async () => 5, () => assert.fail('failed')), 5)
})

test('a rejection also reaches the code that awaits it', async () => {
  const failures: unknown[] = []
  const result = attempt(async () => { throw new Error('rejected') }, (error) => { failures.push(error) })
  await assert.rejects(result!, { message: 'rejected' })
  assert.equal(failures.length, 1)
})

for (const [what, then] of [
  ['throws', () => { throw new Error('broken') }],
  ['rejects, then throws', (_resolve: unknown, reject: (error: Error) => void) => { reject(new Error('broken')); throw new Error('second') }],
  ['rejects twice', (_resolve: unknown, reject: (error: Error) => void) => { reject(new Error('broken')); reject(new Error('second')) }]
] as Array<[string, () => void]>) {
  test(`a call whose result has a then that ${what} fails once`, async () => {
    const failures: unknown[] = []
    attempt(() => ({ then }), (error) => { failures.push((error as Error).message) })
    await new FakeClock().flush()
    assert.deepEqual(failures, ['broken'])
  })
}

for (const [what, ruin] of [
  ['then that throws', (promise) => Object.assign(promise, { then () { throw new Error('broken') } })],
  ['then that calls back twice, and at once', (promise) => Object.assign(promise, { then (_done: unknown, failed: (error: Error) => void) { failed(new Error('broken')); failed(new Error('second')) } })],
  ['constructor that throws', (promise) => Object.defineProperty(promise, 'constructor', { get () { throw new Error('broken') } })]
] as Array<[string, (promise: Promise<void>) => Promise<void>]>) {
  test(`a promise with a ${what} rejects once, and later`, async () => {
    const failures: unknown[] = []
    void attempt(() => ruin(Promise.resolve()), (error) => { failures.push((error as Error).message) })
    assert.deepEqual(failures, [])
    await new FakeClock().flush()
    assert.deepEqual(failures, ['broken'])
  })
}

test('a promise that is none but in name rejects', async () => {
  await assert.rejects(toPromise(Object.create(Promise.prototype) as Promise<void>), TypeError)
})

test('a promise of the application is taken as it is', () => {
  const promise = Promise.resolve()
  assert.equal(toPromise(promise), promise)
})

test('a query builder that starts with each call of then is started once, also where its result is awaited', async () => {
  let queries = 0
  const query = {
    then (resolve: (value: unknown) => void, reject: (error: unknown) => void) {
      queries++
      return Promise.resolve('rows').then(resolve, reject)
    }
  }
  assert.equal(await attempt(() => query, () => assert.fail('failed')), 'rows')
  assert.equal(queries, 1)
})

test('thenable is what has a then method', () => {
  const callable = Object.assign(() => {}, { then () {} })
  for (const value of [Promise.resolve(), { then () {} }, callable]) assert.equal(isThenable(value), true)
  for (const value of [null, undefined, 0, 'text', {}, { then: true }, () => {}, Symbol('then')]) assert.equal(isThenable(value), false)
})

test('a then getter that throws counts as no', () => {
  assert.equal(isThenable(Object.defineProperty({}, 'then', { get () { throw new Error('gotcha') } })), false)
  assert.equal(isThenable(new Proxy({}, { get () { throw new Error('gotcha') } })), false)
})

/** A logger that keeps its lines and throws where `fails` says so. */
function logger (fails: (level: string, args: unknown[]) => boolean, lines: unknown[] = []): FastifyBaseLogger & { lines: unknown[], custom: string } {
  const write = (level: string) => (...args: unknown[]) => {
    if (fails(level, args)) throw new Error('ENOSPC')
    lines.push([level, ...args])
  }
  return {
    level: 'info',
    custom: 'kept',
    lines,
    silent () {},
    ...Object.fromEntries(['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map((level) => [level, write(level)])),
    child () {
      if (fails('child', [])) throw new Error('ENOSPC')
      return logger(fails, lines)
    }
  } as never
}

test('a guarded logger logs as before, and keeps what else the logger has', () => {
  const log = logger(() => false)
  const guarded = guardLog(log) as typeof log
  guarded.info({ a: 1 }, 'text')
  guarded.child({ b: 2 }).warn('from a child')
  assert.deepEqual(log.lines, [['info', { a: 1 }, 'text'], ['warn', 'from a child']])
  assert.equal(guarded.custom, 'kept')
  assert.equal(guarded.level, 'info')
})

test('methods of a guarded logger can be replaced, as test suites do, and the logger itself is as it was', () => {
  const written: string[] = []
  const log = createLog('none').log
  log.warn = (text: unknown) => { written.push(String(text)) }
  const guarded = guardLog(log)
  const warn = mock.method(guarded, 'warn', () => {})
  guarded.warn('one')
  assert.equal(warn.mock.callCount(), 1)
  warn.mock.restore()
  guarded.warn('two')
  assert.deepEqual(written, ['two'])
  Object.freeze(guarded)
  guarded.warn('three')
  assert.deepEqual(written, ['two', 'three'])
})

test('a guarded logger may be an object of a class with private fields', () => {
  class Log {
    #level = 'info'
    readonly lines: unknown[] = []
    get level (): string { return this.#level }
    set level (level: string) { this.#level = level }
    info (...args: unknown[]): void { this.lines.push([this.#level, ...args]) }
    flush (done: () => void): void { if (this.#level !== '') done() }
  }
  const log = new Log()
  const guarded = guardLog(log as never) as unknown as Log
  guarded.level = 'debug'
  let flushed = false
  guarded.flush(() => { flushed = true })
  guarded.info('text')
  assert.deepEqual([guarded.level, log.level, flushed, log.lines], ['debug', 'debug', true, [['debug', 'text']]])
})

test('a guarded logger may be frozen', () => {
  const log = Object.freeze(logger(() => false))
  guardLog(log).info('text')
  assert.deepEqual(log.lines, [['info', 'text']])
})

test('what a property of a logger throws does not reach the caller', () => {
  const guarded = guardLog({ get level (): string { throw new Error('level') }, get info () { throw new Error('info') } } as never)
  assert.equal(guarded.level, undefined)
  assert.doesNotThrow(() => { guarded.info('text') })
})

for (const child of [undefined, null, 5, 'child']) {
  test(`a logger whose child() returns ${child} logs by itself`, () => {
    const log = { ...logger(() => false), child: () => child }
    guardLog(log as never).child({}).info('text')
    assert.deepEqual(log.lines, [['info', 'text']])
  })
}

test('where the fields of a line cannot be logged, its text is', () => {
  const log = logger((_level, args) => typeof args[0] === 'object')
  guardLog(log).error({ err: new Error('x') }, 'text')
  guardLog(log).error({ err: new Error('x') })
  assert.deepEqual(log.lines, [['error', 'text'], ['error', 'a line could not be logged']])
})

test('what a logger throws at every level, or rejects with, does not reach the caller', () => {
  const guarded = guardLog(logger(() => true))
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) assert.doesNotThrow(() => { guarded[level]({}, 'text') })
  assert.doesNotThrow(() => { guarded.child({}).info('text') })
  const rejecting = { level: 'info', info: async () => { throw new Error('rejected') } } as never
  guardLog(rejecting).info('text')
})
