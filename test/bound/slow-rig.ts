/**
 * Peers that take nothing, and how much waits for them.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { BackpressureOptions, Connection, LifecycleOptions, TermsOptions } from '../../lib/index.ts'
import { wsTransport } from '../../lib/ws/transport.ts'
import { rawConnect, start } from '../helpers/server.ts'
import type { RawClient, TestApp } from '../helpers/server.ts'

export const KIB = 1_024
/** More than the kernel takes on loopback, both sides together. */
export const MUCH = 16 * KIB * KIB
export const FRAME = 64 * KIB

export const pending = ({ socket }: Connection) => wsTransport.pendingBytes(socket)
export const taken = ({ socket }: Connection) => wsTransport.bytesTaken(socket)

export async function serve (t: TestContext, backpressure: BackpressureOptions | false, options: LifecycleOptions = {}, route: TermsOptions = {}): Promise<TestApp> {
  return await start(t, { heartbeat: false, closeTimeout: 200, backpressure, ...options }, (app) => {
    app.get('/', { websocket: true }, () => {})
    app.get('/other', { websocket: true, config: { sockets: route } }, () => {})
  })
}

/** A peer that takes nothing, and its connection. */
export async function deaf (t: TestContext, app: TestApp, path = '/'): Promise<{ raw: RawClient, connection: Connection }> {
  const raw = await rawConnect(t, app, path)
  raw.pause()
  return { raw, connection: app.sockets.list().at(-1)! }
}

export function fill ({ socket }: Connection, bytes = MUCH): void {
  for (let sent = 0; sent < bytes; sent += FRAME) socket.send(Buffer.alloc(FRAME))
}

/** Waits until the kernel takes no more. */
export async function stalled (connection: Connection): Promise<void> {
  for (let before = -1; before !== taken(connection);) {
    before = taken(connection)
    await new Promise((resolve) => { setTimeout(resolve, 50) })
  }
  assert.ok(pending(connection) > 0, 'the kernel has taken everything')
}
