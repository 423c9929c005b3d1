/**
 * Admission of handshakes, checked at three moments, because more is known at each: on arrival, when Fastify has a request (its
 * origin and its address), and before the 101 response (its owner).
 */
import { STATUS_CODES } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { escapeReason } from '../base/close-codes.ts'
import type { Clock } from '../base/clock.ts'
import { recordedRoute } from '../connection/facts.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { PolicyName } from '../track/observation.ts'
import type { Refusal } from '../track/events.ts'
import { attempt } from '../base/guard.ts'
import type { Acceptor } from './acceptor.ts'
import type { LogLimiter } from '../base/log-limiter.ts'
import { ForeignOrigins, isAllowed } from '../limit/origin.ts'
import type { ResolvedOptions } from '../options/resolve.ts'
import { offerOf } from '../http/subprotocol.ts'
import { pathOf } from './routes.ts'
import type { Admission } from '../limit/admission.ts'
import type { Enforcement } from '../track/enforcement.ts'
import type { Moves } from '../move/moves.ts'
import type { ManagedTracker } from '../track/managed-tracker.ts'
import type { Wiring } from '../wiring.ts'
import { addressOf } from '../ws/released-memory.ts'
import { isCounted, traceOf } from './handshake.ts'
import type { HandshakeChecks } from './handshake-checks.ts'
import { refuse, statusOf } from './refusal-answers.ts'
import type { Refused } from './refusal-answers.ts'

export class AdmissionChecks implements HandshakeChecks {
  readonly retryAfter: number
  readonly timeout: number | false
  readonly deadlines: Deadlines
  readonly clock: Clock
  readonly #tracker: ManagedTracker
  readonly #admission: Admission | null
  readonly #enforcement: Enforcement
  readonly #handovers: Wiring['handovers']
  readonly #moves: Moves
  readonly #statistics: Wiring['statistics']
  readonly #acceptor: Acceptor
  readonly #options: ResolvedOptions
  readonly #log: FastifyBaseLogger
  /** For lines that any client can cause. */
  readonly #limiter: LogLimiter
  readonly #arrived: (raw: Duplex) => void
  readonly #foreign = new ForeignOrigins()

  /** `arrived` is called for every handshake. */
  constructor ({ tracker, admission, enforcement, handovers, moves, statistics, running }: Wiring, acceptor: Acceptor, options: ResolvedOptions, log: FastifyBaseLogger, limiter: LogLimiter, arrived: (raw: Duplex) => void) {
    this.retryAfter = Math.max(1, Math.ceil(options.retryDelay / 1000))
    this.timeout = options.limits.handshakeTimeout
    this.deadlines = running
    this.clock = options.clock
    this.#tracker = tracker
    this.#admission = admission
    this.#enforcement = enforcement
    this.#handovers = handovers
    this.#moves = moves
    this.#statistics = statistics
    this.#acceptor = acceptor
    this.#options = options
    this.#log = log
    this.#limiter = limiter
    this.#arrived = arrived
  }

  trace (request: IncomingMessage): ReturnType<HandshakeChecks['trace']> { return this.#tracker.tracing?.handshake(request) ?? null }

  arrived (request: IncomingMessage, raw: Duplex): Refused | null {
    this.#arrived(raw)
    if (!this.#tracker.accepting) return refuse('draining')
    if (this.#admission === null) return null
    const policy = this.#admission.arrived(pathOf(request), this.#moves.links.claim(request, offerOf(request)?.id))
    if (policy !== null) this.left(request, true)
    return this.#refusal(policy)
  }

  opening (request: IncomingMessage, raw: Duplex, again = false): Refused | null {
    if (!this.#tracker.accepting) return refuse('draining')
    const admission = this.#admission
    if (admission === null) return null
    const { links } = this.#moves
    const { address, owner } = this.#acceptor.whoIs(request, raw)
    // Those of adopted servers have not claimed it before, nor has one that arrived while another had. That one was counted until now.
    if (!links.hasClaimed(request) && links.claim(request, offerOf(request)?.id) && isCounted(request)) admission.left()
    const claimed = links.hasClaimed(request)
    if (links.serves(request, owner)) return null
    return this.#refusal(admission.opening(address, owner, this.#options.refusal === 'http' && !claimed, pathOf(request), again))
  }

  claim (request: IncomingMessage, raw: Duplex, when: 'arrived' | 'opening'): PromiseLike<Refused | null> | null {
    if (!this.#admission?.shares) return null
    const { links } = this.#moves
    const path = pathOf(request)
    const move = offerOf(request)?.id
    let decided: PromiseLike<Refusal['reason'] | null> | null
    if (when === 'arrived') {
      decided = links.hasClaimed(request) ? null : this.#admission.claimOnArrival(request, path, move)
    } else {
      const { owner } = this.#acceptor.whoIs(request, raw)
      decided = links.serves(request, owner) ? null : this.#admission.claim(request, owner, path, move)
    }
    return decided === null ? null : decided.then((reason) => this.#refusal(reason))
  }

  takeState (request: IncomingMessage): PromiseLike<void> | null {
    const offer = offerOf(request)
    return offer === undefined ? null : this.#handovers.take(offer)
  }

  opened (request: IncomingMessage, duration: number): void {
    if (!this.#acceptor.willClose(request)) this.#statistics.handshakes.add(duration)
  }

  left (request: IncomingMessage, counted: boolean): void {
    // One that takes the place of a connection was not counted.
    if (!this.#moves.links.release(request) && counted) this.#admission?.left()
    this.#admission?.release(request)
  }

  refused (request: IncomingMessage, raw: Duplex, reason: Refusal['reason']): void {
    this.#tracker.refused({ reason, path: pathOf(request), ip: (raw as { remoteAddress?: string }).remoteAddress ?? '' })
  }

  failed (request: IncomingMessage, error: unknown): void {
    this.#limiter.warn('a handshake failed: verifyClient, handleProtocols or a listener of the ws server has thrown', { err: error, path: recordedRoute(pathOf(request)) }, 'error')
  }

  /** Checks origin and address of a request. Returns whether it was refused and answered. */
  requested (request: FastifyRequest, reply: FastifyReply): boolean {
    const policy = this.#originPolicy(request) ?? this.#addressPolicy(request)
    if (policy === null) return false
    const status = statusOf(policy)
    traceOf(request.raw)?.refused(policy)
    this.#tracker.refused({ reason: policy, path: pathOf(request.raw), ip: addressOf(request) ?? '' })
    if (status !== 403) reply.header('retry-after', this.retryAfter)
    // The TCP connection of a refused handshake ends.
    reply.header('connection', 'close')
    void reply.code(status).send({ statusCode: status, error: STATUS_CODES[status], message: `handshake refused: ${policy}` })
    return true
  }

  #addressPolicy (request: FastifyRequest): PolicyName | null {
    // With `refusal: 'close'` the address is checked when the socket would open, and a close frame can be sent.
    // One that takes the place of a connection is checked when its owner is known.
    if (this.#options.refusal === 'close' || this.#moves.links.hasClaimed(request.raw)) return null
    return this.#admission?.addressed(addressOf(request), pathOf(request.raw)) ?? null
  }

  #originPolicy (request: FastifyRequest): PolicyName | null {
    const { allowedOrigins } = this.#options
    const { origin } = request.headers
    const allowed = attempt(() => isAllowed(allowedOrigins, origin, request.host, request), (err) => { this.#limiter.warn('allowedOrigins failed', { err }, 'error') })
    if (allowed === true) return null
    if (allowedOrigins === 'report') {
      if (this.#foreign.isNew(origin!)) this.#log.warn({ origin: escapeReason(origin!) }, 'a page of another origin opens a WebSocket')
      return null
    }
    return this.#enforcement.allows('origin', 'refuse', undefined, pathOf(request.raw)) ? 'origin' : null
  }

  #refusal (reason: Refusal['reason'] | null): Refused | null {
    if (reason === null) return null
    // Sockets that are opened to be refused take memory, too: beyond a limit handshakes are refused over HTTP.
    const way = this.#options.refusal === 'close' && this.#tracker.mayRefuseOpen ? 'close' : 'http'
    return refuse(reason, way)
  }
}
