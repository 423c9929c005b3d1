/**
 * An order to other nodes: plain data, checked by the node that gives it and by each node that carries it out.
 */
import { show } from '../base/check.ts'
import { checkClose, truncateReason } from '../base/close-codes.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import type { ActOptions } from '../connection/connection.ts'
import { checkedAct } from '../track/audit.ts'
import type { FleetFilter } from '../track/fleet.ts'
import { checkRemoteFilter } from './fleet-filter.ts'
import { MAX_ID } from './messages.ts'

/** What nodes are ordered to do. */
export type Order = ActOptions & ({
  /** To close the connections that match. */
  readonly act: 'disconnect'
  readonly filter: FleetFilter
  readonly code: number
  readonly reason: string
} | {
  /** To ask the clients of the connections that match to move. */
  readonly act: 'move'
  readonly filter: FleetFilter
} | {
  /** To let a part of the connections leave, 0 to 1. */
  readonly act: 'drain'
  readonly fraction: number
})

/** An order on its way. */
export interface SentOrder {
  /** Different for each order of the fleet. */
  readonly id: string
  /** The node that has given it. */
  readonly from: string
  readonly order: Order
}

/** Checks an order, given by the application or by another node, and returns a copy. Throws coded errors. */
export function checkOrder (given: Order): Order {
  const { act } = given
  if (act === 'disconnect') {
    const { code, reason } = given
    checkClose(code, reason)
    return { act, filter: checkRemoteFilter(given.filter), code, reason: truncateReason(reason), ...checkedAct(given) }
  }
  if (act === 'move') return { act, filter: checkRemoteFilter(given.filter), ...checkedAct(given) }
  const { fraction } = given
  if (act !== 'drain' || typeof fraction !== 'number' || !(fraction > 0 && fraction <= 1)) throw new SOCKETS_ERR_INVALID_ARGUMENT('fraction', 'a number above 0, at most 1', show(fraction))
  return { act, fraction, ...checkedAct(given) }
}

/** Reads an order of another node. Throws if it is none. */
export function readOrder (body: unknown): SentOrder {
  const { id, from, order } = body as SentOrder
  if (!isId(id) || !isId(from)) throw new TypeError('an order has an id and a node')
  return { id, from, order: checkOrder(order) }
}

/** Returns what an order is about, for the audit. */
export function targetOf (order: Order): FleetFilter | { readonly fraction: number } { return order.act === 'drain' ? { fraction: order.fraction } : order.filter }

function isId (text: unknown): boolean { return typeof text === 'string' && text.length <= MAX_ID }
