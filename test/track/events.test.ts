import assert from 'node:assert/strict'
import test from 'node:test'
import { Events } from '../../lib/track/events.ts'
import type { Refusal } from '../../lib/track/events.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

const REFUSAL: Refusal = { reason: 'draining', path: '/', ip: '' }

/** An emitter, and what its listeners threw. */
function setup () {
  const reported: Array<[error: unknown, event: string]> = []
  return { events: new Events((error, event) => { reported.push([error, event]) }), reported, flush: () => new FakeClock().flush() }
}

test('listeners get the arguments, in the order in which they were added', () => {
  const { events } = setup()
  const heard: unknown[] = []
  events.on('refused', (refusal) => { heard.push(1, refusal) })
  events.on('refused', (refusal) => { heard.push(2, refusal) })
  events.emit('refused', REFUSAL)
  assert.deepEqual(heard, [1, REFUSAL, 2, REFUSAL])
})

test('a listener hears its own event only', () => {
  const { events } = setup()
  events.on('drained', () => assert.fail('heard another event'))
  events.emit('refused', REFUSAL)
})

test('a listener that was taken away hears nothing', () => {
  const { events } = setup()
  const listener = () => assert.fail('heard')
  events.on('refused', listener)
  events.off('refused', listener)
  events.emit('refused', REFUSAL)
})

test('taking away what is not there changes nothing', () => {
  const { events } = setup()
  events.off('refused', () => {})
  let heard = 0
  events.on('refused', () => { heard++ })
  events.off('refused', () => {})
  events.emit('refused', REFUSAL)
  assert.equal(heard, 1)
})

test('a listener that is added twice hears once', () => {
  const { events } = setup()
  let heard = 0
  const listener = () => { heard++ }
  events.on('refused', listener)
  events.on('refused', listener)
  events.emit('refused', REFUSAL)
  assert.equal(heard, 1)
})

test('a listener added while the event is told hears the next one', () => {
  const { events } = setup()
  let heard = 0
  events.on('refused', () => { events.on('refused', () => { heard++ }) })
  events.emit('refused', REFUSAL)
  assert.equal(heard, 0)
  events.emit('refused', REFUSAL)
  assert.equal(heard, 1)
})

test('a listener that throws harms neither the emitter nor the others, and is reported', () => {
  const { events, reported } = setup()
  const error = new Error('thrown')
  let heard = 0
  events.on('refused', () => { throw error })
  events.on('refused', () => { heard++ })
  events.emit('refused', REFUSAL)
  assert.deepEqual([heard, reported], [1, [[error, 'refused']]])
})

test('a listener that rejects is reported', async () => {
  const { events, reported, flush } = setup()
  const error = new Error('rejected')
  events.on('refused', async () => { throw error })
  events.emit('refused', REFUSAL)
  assert.deepEqual(reported, [])
  await flush()
  assert.deepEqual(reported, [[error, 'refused']])
})

for (const thrown of [null, undefined, 0]) {
  test(`a listener may throw ${thrown}`, () => {
    const { events, reported } = setup()
    events.on('refused', () => { throw thrown })
    events.emit('refused', REFUSAL)
    assert.deepEqual(reported, [[thrown, 'refused']])
  })
}

for (const event of ['closedd', 'Open', 'message', '', 'constructor', '__proto__', 'toString', undefined, null, 1, Symbol('open')]) {
  test(`an event that does not exist is refused, to add and to remove: ${String(event)}`, () => {
    const { events } = setup()
    for (const method of ['on', 'off'] as const) {
      assert.throws(() => { events[method](event as 'open', () => {}) }, {
        code: 'SOCKETS_ERR_INVALID_ARGUMENT',
        message: `event must be one of open, draining, closing, closed, error, refused, observed, drain, progress, drained, audit, got ${typeof event === 'string' ? `"${event}"` : String(event)}`
      })
    }
  })
}

for (const [listener, shown] of [[undefined, 'undefined'], [null, 'null'], ['close', '"close"'], [{ handleEvent () {} }, 'an object'], [1, '1']]) {
  test(`a listener that is ${String(shown)} is refused, to add and to remove`, () => {
    const { events } = setup()
    for (const method of ['on', 'off'] as const) {
      assert.throws(() => { events[method]('open', listener as never) }, { code: 'SOCKETS_ERR_INVALID_ARGUMENT', message: `listener must be a function, got ${String(shown)}` })
    }
  })
}
