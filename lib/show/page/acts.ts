/**
 * What the page does: closes connections, or drains the server. Each act needs a header that no form can send, and comes from the page
 * itself; the audit has all of them, with those that are refused.
 */
import type { FastifyRequest } from 'fastify'
import { attempt } from '../../base/guard.ts'
import { isAllowed } from '../../limit/origin.ts'
import { count } from './html.ts'
import type { Site } from './layout.ts'
import { ACTIONS } from './options.ts'
import type { PageAction } from './options.ts'

/** The header of every act. Pages of other origins cannot send it without a preflight. */
export const ACT_HEADER = 'x-sockets-page'

/** The answer to an act. */
export interface ActAnswer {
  readonly status: number
  readonly message: string
}

const FOREIGN: ActAnswer = { status: 403, message: 'Refused: the request does not come from this page.' }

/** Does what a request asks for. `by` says who asks. */
export function act ({ tracker, actions }: Site, request: FastifyRequest, by: (request: FastifyRequest) => string | undefined): ActAnswer {
  const foreign = request.headers[ACT_HEADER] === undefined || !isSameOrigin(request)
  const asked = parse(request.body)
  if (asked === null) return foreign ? FOREIGN : { status: 400, message: 'This is not an act of the page.' }
  const { action, target, why } = asked
  const named = attempt(() => by(request), (err) => { request.log.error({ err }, 'page: by() failed') })
  const who = { ...typeof named === 'string' && { by: named }, ...why !== '' && { why } }
  if (foreign || !actions.includes(action)) {
    tracker.audited({ action, target, outcome: 'refused', connections: 0, ...who })
    return foreign ? FOREIGN : { status: 403, message: 'Refused: this page may not do that.' }
  }
  if (action === 'drain') {
    void tracker.drain(who)
    return { status: 202, message: 'The drain has begun.' }
  }
  const closed = tracker.disconnect(target, who)
  return { status: 200, message: closed === 0 ? 'There is no such connection any more.' : `${count(closed)} closed.` }
}

/** Reads an act: everything of it comes from the client. Returns null if it makes no sense. */
function parse (body: unknown): { action: PageAction, target: 'all' | { id: number } | { owner: string }, why: string } | null {
  if (typeof body !== 'object' || body === null) return null
  const { action, target, why } = body as Record<string, unknown>
  if (!ACTIONS.includes(action as PageAction) || typeof why !== 'string') return null
  if (action === 'drain') return { action, target: 'all', why }
  const { id, owner } = (target ?? {}) as Record<string, unknown>
  if (Number.isSafeInteger(id)) return { action: 'disconnect', target: { id: id as number }, why }
  return typeof owner === 'string' ? { action: 'disconnect', target: { owner }, why } : null
}

/** Returns whether a request comes from a page of this server: the browser says so, or its origin is the host. */
function isSameOrigin (request: FastifyRequest): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers
  // Behind a proxy that replaces the host, only the browser knows.
  if (site !== undefined) return site === 'same-origin'
  return origin !== undefined && isAllowed('same-origin', origin, request.host, request)
}
