import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import test from 'node:test'
import { outside } from '../../lib/base/async-context.ts'
import { systemClock } from '../../lib/base/clock.ts'

const context = new AsyncLocalStorage<string>()

test('code that is called outside of a context has none, and returns and throws as ever', () => {
  context.run('alice', () => {
    assert.equal(outside(() => context.getStore()), undefined)
    assert.equal(outside(() => 5), 5)
    assert.throws(() => outside(() => { throw new Error('thrown') }), /thrown/)
    assert.equal(context.getStore(), 'alice')
  })
})

for (const how of ['setTimeout', 'setImmediate'] as const) {
  test(`${how} of the system clock calls back in no context`, async () => {
    const seen = await new Promise((resolve) => {
      context.run('alice', () => { systemClock[how](() => { resolve(context.getStore()) }, 1) })
    })
    assert.equal(seen, undefined)
  })
}
