/**
 * What the page does: closes connections, or drains the server. Each act needs a header that no form can send, and comes from the page
 * itself; the audit has all of them, with those that are refused.
 */
import type { FastifyRequest } from 'fastify'
import { attempt } from '../../base/guard.ts'
import type { ActOptions } from '../../connection/connection.ts'
import { isAllowed } from '../../limit/origin.ts'
import type { Fleet, FleetFilter } from '../../track/fleet.ts'
import { answerOf, namesOf } from './answers.ts'
import { count } from './html.ts'
import type { Site } from './site.ts'
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

/** An act as a request asks for it. */
type Asked = { readonly why: string } & ({
  readonly action: 'drain'
  readonly target: 'all'
} | {
  readonly action: 'disconnect'
  readonly target: { id: number } | { node: string, id: number } | { owner: string }
})

/** Does what a request asks for. `by` says who asks. */
export async function act ({ tracker, fleet, actions }: Site, request: FastifyRequest, by: (request: FastifyRequest) => string | undefined): Promise<ActAnswer> {
  const foreign = request.headers[ACT_HEADER] === undefined || !isSameOrigin(request)
  const asked = parse(request.body, fleet)
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
  const isHere = fleet === null || ('id' in target && !('node' in target))
  return isHere ? closed(tracker.disconnect(target, who)) : await disconnectInFleet(fleet, target, who)
}

/** Closes connections of all nodes, or one of another. Nodes that have not answered close theirs later. */
async function disconnectInFleet (fleet: Fleet, target: FleetFilter, who: ActOptions): Promise<ActAnswer> {
  const { answer, failed } = await answerOf(fleet.disconnect(target, who))
  if (failed !== undefined) return { status: 503, message: `No server has confirmed it: ${failed}` }
  const { value, missing } = answer
  return missing.length === 0 ? closed(value) : { status: 202, message: `${count(value)} closed. Not answered: ${namesOf(missing)}. They close theirs when they are back.` }
}

function closed (connections: number): ActAnswer {
  return { status: 200, message: connections === 0 ? 'There is no such connection any more.' : `${count(connections)} closed.` }
}

/** Reads an act: everything of it comes from the client. Returns null if it makes no sense. */
function parse (body: unknown, fleet: Fleet | null): Asked | null {
  if (typeof body !== 'object' || body === null) return null
  const { action, target, why } = body as Record<string, unknown>
  if (!ACTIONS.includes(action as PageAction) || typeof why !== 'string') return null
  if (action === 'drain') return { action, target: 'all', why }
  const { node, id, owner } = (target ?? {}) as Record<string, unknown>
  if (Number.isSafeInteger(id)) {
    if (node === undefined || node === fleet?.node) return { action: 'disconnect', target: { id: id as number }, why }
    return fleet !== null && typeof node === 'string' ? { action: 'disconnect', target: { node, id: id as number }, why } : null
  }
  // An owner is that of all nodes: with a part of another target, more would be closed than was asked for.
  return typeof owner === 'string' && node === undefined && id === undefined ? { action: 'disconnect', target: { owner }, why } : null
}

/** Returns whether a request comes from a page of this server: the browser says so, or its origin is the host. */
function isSameOrigin (request: FastifyRequest): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers
  // Behind a proxy that replaces the host, only the browser knows.
  if (site !== undefined) return site === 'same-origin'
  return origin !== undefined && isAllowed('same-origin', origin, request.host, request)
}
