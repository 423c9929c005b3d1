/**
 * Log lines of the fleet: nodes that come and go, one line a beat at most, and an engine that stops or begins to answer.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { LogLimiter } from '../base/log-limiter.ts'
import type { NodeView } from './core.ts'

/** Nodes that a line names; the others are counted. */
const MAX_NAMED = 10

export class FleetReporter {
  readonly #log: FastifyBaseLogger
  readonly #limiter: LogLimiter
  readonly #level: 'info' | 'debug'
  #wasDown = false

  /** `level`: of the line that this node has joined. */
  constructor (log: FastifyBaseLogger, limiter: LogLimiter, level: 'info' | 'debug') {
    this.#log = log
    this.#limiter = limiter
    this.#level = level
  }

  /** This node has joined; there are `size` nodes now. */
  joined (node: string, size: number): void { this.#log[this.#level]({ node, size }, 'fleet: this node has joined') }

  /** The view has changed: it has `size` nodes now. */
  changed (joined: readonly NodeView[], gone: readonly NodeView[], how: 'left' | 'lost', size: number): void {
    if (joined.length > 0) this.#log.info({ ...named(joined), size }, 'fleet: nodes have joined')
    if (gone.length === 0) return
    if (how === 'left') this.#log.info({ ...named(gone), size }, 'fleet: nodes have left')
    else this.#limiter.warn('fleet: nodes are lost: their leases have ended', { ...named(gone), size })
  }

  /** The engine answers from now on, or does not. */
  engine (up: boolean, err?: unknown): void {
    if (!up) this.#limiter.warn('fleet: the engine does not answer', { err }, 'error')
    // Every outage that is logged has its end logged.
    else if (this.#wasDown) this.#log.info('fleet: the engine answers again')
    this.#wasDown = !up
  }

  /** A part of the fleet has thrown: a fault of the plugin. */
  failed (err: unknown): void { this.#limiter.warn('fleet: a part failed', { err }, 'error') }

  /** The first beat has failed, or has not been answered in time. */
  startedAlone (): void {
    this.#wasDown = true
    this.#log.warn('fleet: this node has started without its fleet, and goes on trying to join')
  }
}

function named (nodes: readonly NodeView[]): object {
  const ids = nodes.slice(0, MAX_NAMED).map(({ id }) => id)
  return ids.length < nodes.length ? { nodes: ids, more: nodes.length - ids.length } : { nodes: ids }
}
