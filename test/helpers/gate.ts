/**
 * Handshakes and requests that wait: a hook or handler that goes on when a test says so, and what the refusal of a handshake
 * that waited looks like.
 */
import assert from 'node:assert/strict'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { tcpEnded } from './ends.ts'
import type { RawClient } from './server.ts'

/** A hook that waits at a gate; `arrived` resolves when the first request waits there. */
export function gate () {
  let open!: () => void
  let come!: () => void
  const opened = new Promise<void>((resolve) => { open = resolve })
  const arrived = new Promise<void>((resolve) => { come = resolve })
  return { open, arrived, wait: async () => { come(); await opened } }
}

/** A hook that answers on the raw socket with 418, leaves it open, and waits at the gate. */
export const answerAndWait = ({ wait }: ReturnType<typeof gate>) => async ({ raw }: FastifyRequest, reply: FastifyReply): Promise<void> => {
  reply.hijack()
  raw.socket.write('HTTP/1.1 418 teapot\r\nContent-Length: 0\r\n\r\n')
  await wait()
}

/** Asserts that a handshake was refused by a server that restarts, and TCP closed. */
export async function assertRefused (raw: RawClient): Promise<void> {
  const { status, headers } = await raw.answer
  assert.equal(status, 503)
  assert.equal(headers.get('retry-after'), '1')
  assert.equal(headers.get('connection'), 'close')
  assert.equal(await tcpEnded(raw), undefined)
  assert.equal(raw.body, 'The server is restarting.\n')
  assert.equal(headers.get('content-length'), String(raw.body.length))
}
