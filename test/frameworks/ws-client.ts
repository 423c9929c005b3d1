/**
 * A plain ws client, for frameworks that have none of their own.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import type { Closed } from '../helpers/server.ts'
import { FAULT } from './checks.ts'
import type { Client } from './checks.ts'

export interface WsTestClient extends Client {
  socket: WebSocket
}

/** Connects, sends `question` and expects `answer`; `question` makes FAULT into what provokes. */
export async function connectWs (t: TestContext, url: string, question: (text: string) => string, answer: (text: string) => string): Promise<WsTestClient> {
  const socket = new WebSocket(url)
  t.after(() => { socket.terminate() })
  const ended = deferred<Closed>()
  socket.once('close', (code, reason) => { ended.resolve({ code, reason: reason.toString() }) })
  const works = async () => {
    const text = String(Math.random())
    const message = once(socket, 'message')
    socket.send(question(text))
    const [data] = await message as [Buffer]
    assert.equal(data.toString(), answer(text))
  }
  await once(socket, 'open')
  await works()
  return {
    socket,
    ended: ended.promise,
    works,
    provoke: () => { socket.send(question(FAULT)) },
    stop: () => { socket.close() }
  }
}
