/**
 * What the tests of limits share: a server whose routes say who asks, clients that are turned away, events kept as they come.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { CloseRecord, Connection, LifecycleOptions, Observation, Refusal } from '../../lib/index.ts'
import type { ConnectOptions, TestClient } from '../../lib/testing/connect.ts'
import { connect, start, until } from '../helpers/server.ts'
import type { StartOptions, TestApp } from '../helpers/server.ts'

/** Everything that was told of limits. */
export interface Told {
  refused: Refusal[]
  observed: Observation[]
  closed: Array<{ connection: Connection, record: CloseRecord }>
}

/** An answer to a handshake that was turned away. */
export interface TurnedAway { status: number, headers: Record<string, string> }

/** Keeps what a tracker tells. */
export function listen ({ sockets }: TestApp): Told {
  const told: Told = { refused: [], observed: [], closed: [] }
  sockets.on('refused', (refusal) => { told.refused.push(refusal) })
  sockets.on('observed', (observation) => { told.observed.push(observation) })
  sockets.on('closed', (connection, record) => { told.closed.push({ connection, record }) })
  return told
}

/** A server with an echo at `/`; `x-user` says who asks. */
export async function serve (t: TestContext, options: LifecycleOptions = {}, more: StartOptions & { configure?: (app: TestApp) => unknown } = {}): Promise<{ app: TestApp, told: Told }> {
  const { configure, ...rest } = more
  let told!: Told
  const app = await start(t, { owner: ({ headers }) => headers['x-user'] as string | undefined, ...options }, async (app) => {
    told = listen(app)
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) }) })
    await configure?.(app)
  }, rest)
  return { app, told }
}

/** Connects as an owner. */
export function as (t: TestContext, app: TestApp, user: string, options: ConnectOptions = {}, path = '/'): Promise<TestClient> {
  return connect(t, app, path, { ...options, headers: { ...options.headers, 'x-user': user } })
}

/** A handshake that must be turned away over HTTP. */
export async function turnedAway (handshake: Promise<unknown>): Promise<TurnedAway> {
  let answer: TurnedAway | undefined
  await assert.rejects(handshake, (error: Error & TurnedAway) => {
    answer = error
    return typeof error.status === 'number'
  })
  return { status: answer!.status, headers: answer!.headers }
}

/** Waits until the server has so many connections, and has seen the raw sockets of all others end. */
export async function settle (app: TestApp, size: number): Promise<void> {
  await until(() => app.sockets.size === size, `${size} connections, there are ${app.sockets.size}`)
}
