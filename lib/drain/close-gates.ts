/**
 * Who holds the close of the app: two gates that wait for one drain, and the user's preClose in its *notify*.
 *
 * The callback of the HTTP server's own close waits always. Where Fastify does not close our server, or somebody else
 * would close clients in his own way first, avvio's onClose from inside onReady waits before all preClose hooks;
 * elsewhere the drain runs beside those, as they expect. The preClose hook itself only starts the drain: Fastify bounds
 * it by its pluginTimeout.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { WebsocketPluginOptions } from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import { afterInput } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { isThenable } from '../base/guard.ts'
import { beforePreClose } from '../base/internals.ts'
import { ServerClose } from '../http/server-close.ts'
import type { Gate } from '../http/server-close.ts'
import type { TrackerState } from '../track/tracker.ts'

/** The drain that the gates wait for. */
export interface Drains {
  readonly state: TrackerState
  /** Starts the drain or joins it. */
  startDrain (trigger: 'close'): Promise<unknown>
  /** Runs a hook in the drain's *notify*; later at once, and returns its promise. */
  preClose (hook: () => unknown): unknown
}

/** A preClose hook of either kind. */
type PreClose = NonNullable<WebsocketPluginOptions['preClose']>

export class CloseGates implements Gate {
  readonly #listener: ServerClose
  readonly #app: FastifyInstance
  readonly #tracker: Drains
  readonly #clock: Clock
  /** Longest wait for a preClose that comes after the drain, milliseconds. */
  readonly #reserve: number
  #preClose: PreClose | null
  #begun: Promise<unknown> | null = null
  /** Fastify closes the server of a serverFactory only where it was told to listen. */
  #listens = false
  /** Somebody else would close clients without a code as soon as he may. */
  #first: 'before preClose' | 'before the listener closes' | null = null

  constructor (app: FastifyInstance, tracker: Drains, clock: Clock, reserve: number, preClose: PreClose | null) {
    this.#app = app
    this.#tracker = tracker
    this.#clock = clock
    this.#reserve = reserve
    this.#preClose = preClose
    this.#listener = ServerClose.of(app.server)
  }

  /** Puts up the first gate. */
  registered (): void { this.#listener.join(this) }

  get closing (): boolean { return this.#begun !== null }

  async drained (): Promise<void> {
    await this.begin()
    // What is here already is read first: it may be a request, or its other half. Where the server listens again, or still,
    // its connections are another application's.
    afterInput(this.#clock, () => { if (!this.#app.server.listening) this.#listener.sockets.closeIdle() })
  }

  /** A socket carries WebSocket. */
  upgraded (socket: Socket): void { this.#listener.sockets.forget(socket) }

  /** @fastify/websocket was registered by somebody else: its preClose closes its clients without a code. */
  websocketAdopted (): void { this.#first ??= 'before preClose' }

  /** A ws server made elsewhere was adopted: @fastify/http-proxy closes its clients as soon as the listener closes. */
  serverAdopted (): void { this.#first = 'before the listener closes' }

  /** Fastify listens, on these servers beside its own. */
  listens (secondary: Server[]): void {
    this.#listens = true
    for (const server of secondary) this.#listener.sockets.watch(server)
  }

  /** Puts up the second gate; to be called from inside onReady. */
  ready (): void {
    // With a callback: Fastify must answer as a closing one in the tick in which it always has, where nothing is to be waited for.
    beforePreClose(this.#app, (_app, done) => {
      if (this.#first === null && this.#listens) return done()
      const drained = this.begin()
      if (this.#listens && this.#first !== 'before the listener closes') this.#app.server.close()
      if (this.#tracker.state === 'drained') return done()
      void drained.then(() => { done() })
    })
  }

  /** The app is closed: nothing of it is left on the server. */
  closed (): void { this.#listener.leave(this) }

  /** Starts the drain of a closing app, or joins it. */
  begin (): Promise<unknown> {
    if (this.#begun !== null) return this.#begun
    const late = this.givePreClose()
    const drained = this.#tracker.startDrain('close')
    this.#begun = isThenable(late) ? Promise.all([drained, this.#atMost(late)]) : drained
    return this.#begun
  }

  /** Hands the user's preClose to the drain, once; where the drain is past its *notify*, returns the hook's promise. */
  givePreClose (): unknown {
    const hook = this.#preClose
    if (hook === null) return undefined
    this.#preClose = null
    return this.#tracker.preClose(() => call(hook, this.#app))
  }

  #atMost (promise: PromiseLike<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimeout(resolve, this.#reserve)
      const settled = () => {
        this.#clock.clearTimeout(timer)
        resolve()
      }
      promise.then(settled, settled)
    })
  }
}

/** Calls a preClose hook of either kind; a promise where it takes time. */
function call (hook: PreClose, app: FastifyInstance): unknown {
  if (hook.length === 0) return Reflect.apply(hook, app, [])
  return new Promise<void>((resolve, reject) => {
    const result: unknown = Reflect.apply(hook, app, [(error?: Error) => { if (error) reject(error); else resolve() }])
    // One that takes a callback and is async all the same.
    if (isThenable(result)) Promise.resolve(result).then(undefined, reject)
  })
}
