import assert from 'node:assert/strict'
import test from 'node:test'
import { createFleet } from '../helpers/fleet-rig.ts'

test('a message that is no question or no answer is ignored and counted, and ends nothing', async (t) => {
  const rejected: unknown[] = []
  const onRejection = (error: unknown) => { rejected.push(error) }
  process.on('unhandledRejection', onRejection)
  t.after(() => { process.off('unhandledRejection', onRejection) })
  const { clock, memory, nodes: [node] } = await createFleet(2)
  const { ignored } = node!.sockets
  const messages = ['ask', 'answer'].flatMap((type) => [undefined, null].map((body) => ({ v: 1, type, from: 'x', body })))
  for (const message of messages) memory.send([node!.id], JSON.stringify(message))
  await clock.flush()
  // Node reports rejections after the microtasks of a turn.
  await new Promise((resolve) => { setImmediate(resolve) })
  assert.deepEqual(rejected, [])
  assert.equal(node!.sockets.ignored, ignored + messages.length)
})
