/**
 * Handshakes that wait: a hook that ends when a test says so, and what the refusal of a handshake that waited looks like.
 */
import assert from 'node:assert/strict'
import { tcpEnded } from './ends.ts'
import type { RawClient } from './server.ts'

/** A hook that waits at a gate; `arrived` resolves when a handshake waits there. */
export function gate () {
  let open!: () => void
  let come!: () => void
  const opened = new Promise<void>((resolve) => { open = resolve })
  const arrived = new Promise<void>((resolve) => { come = resolve })
  return { open, arrived, wait: async () => { come(); await opened } }
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
