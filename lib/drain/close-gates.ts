/**
 * Two gates that hold the close of the app until its drain has ended. They also give the application's preClose to the drain.
 *
 * The first gate delays the callback of the HTTP server's close, always. The second waits before all preClose hooks: it is needed
 * if Fastify does not close our server, or if another plugin would close clients without a code first; otherwise the drain runs
 * beside the preClose hooks, as those expect. The preClose hook of this plugin only starts the drain, because Fastify limits it
 * by pluginTimeout.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { WebsocketPluginOptions } from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import { afterInput, atMost } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { isThenable, toPromise } from '../base/guard.ts'
import { beforePreClose } from '../base/internals.ts'
import { ServerClose } from '../http/server-close.ts'
import type { Gate } from '../http/server-close.ts'
import type { DrainReport } from '../track/drain-report.ts'
import type { TrackerState } from '../track/stats.ts'

/** What the gates need of the tracker. */
export interface DrainingTracker {
  readonly state: TrackerState
  /** Starts the drain or joins it. */
  startDrain (trigger: 'close'): Promise<DrainReport>
  /** Runs a hook in the drain's *notify*. After *notify* has begun, calls it at once and returns its promise. */
  preClose (hook: () => unknown): unknown
}

/** A preClose hook with a callback, or an async one. */
type PreClose = NonNullable<WebsocketPluginOptions['preClose']>

export class CloseGates implements Gate {
  readonly #listener: ServerClose
  readonly #app: FastifyInstance
  readonly #tracker: DrainingTracker
  readonly #clock: Clock
  /** Maximum wait for a preClose hook that is called after *notify*, milliseconds. */
  readonly #reserve: number
  #preClose: PreClose | null
  /** An application without WebSockets closes as without this plugin. */
  readonly #servesWebSockets: () => boolean
  #begun: Promise<unknown> | null = null
  /** Ends the marking of HTTP answers. */
  #unmark: (() => void) | null = null
  /** Fastify closes the server of a serverFactory only after Fastify's own listen(). */
  #listens = false
  #secondary: Server[] = []
  /** When the drain must start so that no other plugin closes clients without a code; null: in preClose. */
  #startsEarly: 'before preClose' | 'before the listener closes' | null = null

  constructor (app: FastifyInstance, tracker: DrainingTracker, clock: Clock, reserve: number, preClose: PreClose | null, servesWebSockets: () => boolean) {
    this.#app = app
    this.#tracker = tracker
    this.#clock = clock
    this.#reserve = reserve
    this.#preClose = preClose
    this.#servesWebSockets = servesWebSockets
    this.#listener = ServerClose.of(app.server)
  }

  /** Installs the first gate. */
  registered (): void { this.#listener.join(this) }

  get closing (): boolean { return this.#begun !== null }
  get draining (): boolean { return this.#tracker.state !== 'running' }

  async drained (): Promise<boolean> {
    await this.begin()
    if (!this.#servesWebSockets()) return true
    // Input that has arrived is read first: it may be a request, or the rest of one. If the server listens again, or still, its
    // connections belong to another application.
    afterInput(this.#clock, () => { if (!this.#app.server.listening) this.#listener.sockets.closeIdle() })
    const { connections: { unfinished } } = await this.#tracker.startDrain('close')
    // Fastify closes these when the last raw socket of its own server is gone.
    if (unfinished > 0) for (const server of this.#secondary) server.close()
    return unfinished === 0
  }

  /** A raw socket has been upgraded to WebSocket. */
  upgraded (socket: Socket): void { this.#listener.sockets.forget(socket) }

  /** @fastify/websocket was registered before this plugin: its own preClose closes its clients without a code. */
  websocketAdopted (): void { this.#startsEarly ??= 'before preClose' }

  /** A ws server of another plugin was adopted: @fastify/http-proxy closes its clients as soon as the listener closes. */
  serverAdopted (): void { this.#startsEarly = 'before the listener closes' }

  /** Fastify listens, on its own server and on these. */
  listens (secondary: Server[]): void {
    this.#listens = true
    this.#secondary = secondary
    for (const server of secondary) this.#listener.sockets.watch(server)
  }

  /** Installs the second gate. Must be called in onReady. */
  ready (): void {
    // A callback, not a promise: if there is nothing to wait for, Fastify refuses requests in the same tick as without this gate.
    beforePreClose(this.#app, (_app, done) => {
      if (this.#startsEarly === null && this.#listens) return done()
      const drained = this.begin()
      if (this.#listens && this.#startsEarly !== 'before the listener closes') this.#app.server.close()
      if (this.#tracker.state === 'drained') return done()
      void drained.then(() => { done() })
    })
  }

  /** The drain has begun. */
  drainBegun (): void { if (this.#servesWebSockets()) this.#unmark = this.#listener.markLastAnswers() }

  /** The app is closed: removes the first gate. */
  closed (): void {
    this.#unmark?.()
    this.#listener.leave(this)
  }

  /** Starts the drain of a closing app, or joins it. */
  begin (): Promise<unknown> {
    if (this.#begun !== null) return this.#begun
    const late = this.givePreClose()
    const drained = this.#tracker.startDrain('close')
    this.#begun = isThenable(late) ? Promise.all([drained, atMost(this.#clock, late, this.#reserve)]) : drained
    return this.#begun
  }

  /** Gives the application's preClose to the drain, once. If the drain calls it at once, returns its promise. */
  givePreClose (): unknown {
    const hook = this.#preClose
    if (hook === null) return undefined
    this.#preClose = null
    return this.#tracker.preClose(() => call(hook, this.#app))
  }
}

/** Calls a preClose hook of either kind and returns its promise, if it has one. */
function call (hook: PreClose, app: FastifyInstance): unknown {
  if (hook.length === 0) return Reflect.apply(hook, app, [])
  return new Promise<void>((resolve, reject) => {
    const result: unknown = Reflect.apply(hook, app, [(error?: Error) => { if (error) reject(error); else resolve() }])
    // A hook may take a callback and be async all the same.
    if (isThenable(result)) toPromise(result).then(undefined, reject)
  })
}
