/**
 * Dead peers are found within `interval × (maxMissed + 1)` of running time, and the healthy ones beside them stay. What
 * the kernel takes, and what `bufferedAmount` says, is no sign of life.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { handshake } from '../helpers/server.ts'
import { assertFoundInTime, connectAll, HEALTHY, serve } from './rig.ts'
import type { Server } from './rig.ts'

const COUNT = 20

/** Peers that have shaken hands and never say a word again; their kernel accepts what it gets. */
async function connectMute (t: TestContext, server: Server, group: string, reads: boolean): Promise<void> {
  await Promise.all(Array.from({ length: COUNT }, async () => {
    const socket = net.connect(server.port, '127.0.0.1')
    t.after(() => { socket.destroy() })
    socket.on('error', () => {})
    socket.write(handshake(`/${group}`))
    await once(socket, 'data')
    if (reads) socket.resume()
    else socket.pause()
  }))
}

/** Waits until a whole group was found, and then until the healthy ones have been asked several times more. */
async function expectFound (t: TestContext, server: Server, group: string, count: number): Promise<{ buffered: number }> {
  await server.ended(group, count)
  const found = await server.group(group)
  assert.deepEqual(found.causes, { heartbeat: count })
  await server.intervals(6)
  const healthy = await server.group(HEALTHY)
  t.diagnostic(`found ${found.killed} of ${count}, the last after ${found.beats} beats (bound ${server.bound}); ${found.buffered} B buffered; healthy killed: ${healthy.killed}`)
  assert.equal(healthy.open, COUNT)
  await server.end()
  return found
}

describe('dead peers', { concurrency: 4 }, () => {
  const spec = { watch: 'plugin', interval: 400, maxMissed: 2 } as const

  test('a process that is frozen is found in time', async (t) => {
    const server = await serve(t, spec)
    const [, frozen] = await Promise.all([connectAll(t, server, COUNT), connectAll(t, server, COUNT, 'frozen')])
    await server.intervals(1)
    frozen.freeze()
    await server.beats(1)
    await expectFound(t, server, 'frozen', COUNT)
    assertFoundInTime(server, await server.group('frozen'))
  })

  test('a peer that accepts every byte and never answers is found in time', async (t) => {
    const server = await serve(t, spec)
    await connectAll(t, server, COUNT)
    await connectMute(t, server, 'mute', true)
    await server.beats(1)
    await expectFound(t, server, 'mute', COUNT)
    assertFoundInTime(server, await server.group('mute'))
  })

  test('a peer that accepts every byte of a steady stream and never answers is found in time, though nothing is buffered', async (t) => {
    const server = await serve(t, spec)
    await connectAll(t, server, COUNT)
    await connectMute(t, server, 'mute', true)
    await server.do({ do: 'send', group: 'mute', bytes: 200, every: true })
    const { buffered } = await expectFound(t, server, 'mute', COUNT)
    assert.equal(buffered, 0)
    assertFoundInTime(server, await server.group('mute'))
  })

  test('a peer that has stopped reading under a steady stream is found, though no ping can leave any more', async (t) => {
    const server = await serve(t, spec)
    await connectAll(t, server, COUNT)
    await connectMute(t, server, 'full', false)
    await server.do({ do: 'send', group: 'full', bytes: 262_144, every: true })
    // No bound: as long as the kernel takes bytes the peer may be a slow one.
    const { buffered } = await expectFound(t, server, 'full', COUNT)
    assert.ok(buffered > 0)
  })
})
