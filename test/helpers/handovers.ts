/**
 * Clients that bring a handed-over state to their next connection: they offer `lifecycle.v1`, and the id if they hold one.
 */
import type { ConnectOptions } from '../../lib/testing/connect.ts'
import { sharedStore } from '../../lib/move/handover-store.ts'
import type { Closed, TestClient } from './server.ts'

/** The end of a connection, and what the client may offer next. */
export interface Ended {
  /** Id of the `handover` frame, if there was one. */
  id: string | undefined
  closed: Closed
  /** What the client was sent besides. */
  rest: Array<string | Buffer>
}

const PREFIX = '\u0001lifecycle:'
const HANDOVER = /^\{"type":"handover","id":"([\w-]{22})"\}$/

/** The id in a `handover` frame; undefined for other messages. */
export function idIn (message: unknown): string | undefined {
  const text = String(message)
  return text.startsWith(PREFIX) ? HANDOVER.exec(text.slice(PREFIX.length))?.[1] : undefined
}

/** What such a client offers in its handshake. */
export function offering (id?: string, options: ConnectOptions = {}): ConnectOptions {
  return { ...options, protocols: [...options.protocols ?? [], 'lifecycle.v1', ...(id === undefined ? [] : [`lifecycle.v1.${id}`])] }
}

/** Waits until the server has closed the connection. */
export async function endOf (client: TestClient): Promise<Ended> {
  const closed = await client.closed
  const id = idIn(client.unread.at(-1))
  return { id, closed, rest: client.unread.filter((message) => idIn(message) === undefined) }
}

/** Ids of the states that were put into the store of this process. */
const put = new Set<string>()
const store = sharedStore()
const { put: storePut } = store
store.put = (id, ...record) => {
  put.add(id)
  storePut.call(store, id, ...record)
}

/** Empties the store of this process, which has a timer for as long as states wait there. */
export function emptyStore (): void {
  for (const id of put) store.take(id)
  put.clear()
}
