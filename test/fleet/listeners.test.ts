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

test('a listener of the fleet that hangs holds up neither the others nor the end', async () => {
  const { clock, nodes: [a], add } = await createFleet(1, { heartbeat: false, backpressure: false })
  const heard: string[] = []
  for (const event of ['joined', 'left', 'online', 'offline'] as const) {
    a!.sockets.on(event, () => new Promise(() => {}))
    a!.sockets.on(event, () => { heard.push(event) })
  }
  await clock.run(2_000)
  const b = await add()
  const { connection } = b.open({ owner: 'ann', peer: 'answers' })
  await clock.run(500)
  void connection.close()
  await clock.run(500)
  void b.fleet.close()
  await clock.run(500)
  let closed = false
  void a!.fleet.close().then(() => { closed = true })
  await clock.run(500)
  assert.equal(closed, true)
  assert.deepEqual(heard.toSorted(), ['joined', 'left', 'offline', 'online'])
})
