import assert from 'node:assert/strict'
import test from 'node:test'
import { createFleet } from '../helpers/fleet-rig.ts'

test('a listener of the fleet that throws or rejects is logged, and harms no other', async () => {
  const { clock, nodes: [a], add } = await createFleet(1)
  const heard: string[] = []
  a!.sockets.on('joined', () => { throw new Error('mine') })
  a!.sockets.on('joined', () => Promise.reject(new Error('mine, later')))
  a!.sockets.on('joined', ({ id }) => { heard.push(id) })
  const b = await add()
  await clock.run(300)
  assert.deepEqual(heard, [b.id])
  assert.deepEqual(a!.messages('error'), ['listener of "joined" failed', 'listener of "joined" failed'])
})
