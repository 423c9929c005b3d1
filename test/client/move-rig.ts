/**
 * A socket of the class over a fake one, on a fake clock, whose server asks it to move.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { lifecycle } from '../../lib/client/index.ts'
import type { LifecycleClientOptions } from '../../lib/client/index.ts'
import { CONTROL } from '../../lib/client/link.ts'
import { fakeBase, fakeTime, frameFor, newAddress, record } from './fake-base.ts'
import type { FakeSocket } from './fake-base.ts'

export const ID = 'aaaaaaaaaaaaaaaaaaaaaa'
export const MOVED = `${CONTROL}{"type":"moved"}`

export function askToMove (socket: FakeSocket, delay = 0, id = ID) {
  socket.receive(frameFor(socket, { type: 'move', in: delay, id }))
}

/** A socket that is open over `made[0]`, on a fake clock. */
export async function openOne (t: TestContext, options: LifecycleClientOptions = {}) {
  const clock = fakeTime(t)
  const { Base, made } = fakeBase()
  const url = newAddress()
  const Socket = lifecycle(Base, options)
  const socket = new Socket(url)
  const events = record(socket)
  await clock.flush()
  made[0]!.open()
  await clock.flush()
  return {
    clock,
    made,
    url,
    Socket,
    socket,
    events,
    /** Asks for a move that succeeds up to `moved`. */
    async move (from: FakeSocket) {
      askToMove(from)
      await clock.run(1)
      made.at(-1)!.open()
      await clock.flush()
      assert.equal(from.sent.at(-1), MOVED)
    },
    /** Checks that the socket works over a connection: both directions, and no event but messages. */
    async works (over: FakeSocket) {
      over.receive('ping')
      socket.send('pong')
      await clock.flush()
      assert.deepEqual([events.at(-1), over.sent.at(-1), socket.readyState], ['message ping', 'pong', 1])
      assert.deepEqual(events.filter((event) => !event.startsWith('message')), ['open'])
    }
  }
}
