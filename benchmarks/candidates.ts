/**
 * The candidates: their names in the results, and how the server of each is started.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { FloorServer } from './floor-server.ts'
import { libraryFolder } from './library.ts'
import type { Dialect } from './load/control.ts'
import { Child } from './rpc.ts'
import type { Remote } from './rpc.ts'
import type { ServerControl, ServerOptions } from './servers/control.ts'

/** Files of servers/. */
type ServerFile = 'ours' | 'fastify-websocket' | 'fastify-websocket-recipe' | 'ws-recipe' | 'socketio' | 'uws' | 'raw-writes'

export interface Candidate {
  name: string
  server: ServerFile | 'floor'
  /** Options added to those of the scenario. */
  options?: Partial<ServerOptions>
  /** A commit, whose library is used instead of the current sources. */
  revision?: string
}

/** A server under test in its process. */
export interface ServerProcess {
  remote: Remote<ServerControl>
  stop (): Promise<void>
}

/** The usual candidates; scenarios can add their own. */
export const OURS: Candidate = { name: 'ours', server: 'ours' }
export const BARE: Candidate = { name: 'bare', server: 'fastify-websocket' }
export const RECIPE: Candidate = { name: 'ws recipe', server: 'ws-recipe' }
export const BARE_RECIPE: Candidate = { name: 'bare recipe', server: 'fastify-websocket-recipe' }
export const SOCKET_IO: Candidate = { name: 'Socket.IO', server: 'socketio' }
export const UWS: Candidate = { name: 'uWebSockets.js', server: 'uws' }
export const RAW_WRITES: Candidate = { name: 'raw writes', server: 'raw-writes' }
export const RAW_SLICES: Candidate = { name: 'raw writes, in slices', server: 'raw-writes', options: { slices: true } }
export const FLOOR: Candidate = { name: 'floor', server: 'floor' }

/** ws without a heartbeat. */
export const WS: Candidate = { name: 'ws', server: 'ws-recipe', options: { heartbeat: false } }

/** The protocol of its clients. */
export function dialectOf ({ server }: Candidate): Dialect {
  return server === 'socketio' ? 'socketio' : 'plain'
}

/** Starts its process; `start` must be called after that. */
export function launch ({ server, revision }: Candidate): ServerProcess {
  if (server === 'floor') return new FloorServer()
  const file = join(import.meta.dirname, 'servers', `${server}.ts`)
  if (!existsSync(file)) throw new Error(`there is no ${file}`)
  return new Child<ServerControl>(file, server === 'ours' ? [libraryFolder(revision)] : [])
}
