import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import test, { mock } from 'node:test'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { DrainSuppression } from '../../lib/drain/suppression.ts'
import { createRig } from '../helpers/drain-rig.ts'

const [alice, bob] = [{}, {}] as [ManagedConnection, ManagedConnection]

test('a message to another connection is suppressed in code of a closed one, in its asynchronous part too', async () => {
  const suppression = new DrainSuppression()
  assert.equal(suppression.applies(bob), false)
  const later = suppression.call(alice, async () => {
    assert.equal(suppression.applies(bob), true)
    assert.equal(suppression.applies(null), true)
    assert.equal(suppression.applies(alice), false)
    await new Promise((resolve) => { setImmediate(resolve) })
    return suppression.applies(bob)
  })
  assert.equal(suppression.applies(bob), false)
  assert.equal(await later, true)
  assert.equal(suppression.count, 3)
})

test('after its end nothing is suppressed', async () => {
  const suppression = new DrainSuppression()
  let go!: () => void
  const later = suppression.call(alice, async () => {
    await new Promise<void>((resolve) => { go = resolve })
    return suppression.applies(bob)
  })
  suppression.end()
  go()
  assert.equal(await later, false)
  assert.equal(suppression.count, 0)
})

test('a drain that has closed every connection ends the suppression: code that runs later gets no context', async (t) => {
  const rig = createRig()
  const { connection } = rig.connect()
  await rig.run()
  const run = mock.method(AsyncLocalStorage.prototype, 'run')
  t.after(() => { run.mock.restore() })
  assert.equal(rig.host.suppression.call(connection, () => rig.host.suppression.applies(null)), false)
  assert.equal(run.mock.callCount(), 0)
})
