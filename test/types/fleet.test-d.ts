/**
 * Types of the fleet: presence and orders.
 */
import type { Answer, Fleet, FleetPresence, OwnerPresence, Tracker } from 'fastify-websocket-lifecycle'
import { expectError, expectType } from 'tsd'

declare const sockets: Tracker
const { fleet } = sockets
expectType<Fleet>(fleet)

expectType<Promise<OwnerPresence>>(fleet.presence('ann'))
expectError(fleet.presence())
expectError(fleet.presence(42))
declare const presence: OwnerPresence
expectType<boolean | 'unknown'>(presence.online)
expectType<number | undefined>(presence.expectedBack)
expectType<Fleet>(fleet.on('online', (change) => { expectType<FleetPresence>(change) }))

expectType<Promise<Answer<number>>>(fleet.disconnect({ owner: 'ann' }))
expectType<Promise<Answer<number>>>(fleet.disconnect('all', { code: 3003, reason: 'bye', by: 'ann', why: 'spam' }))
expectError(fleet.disconnect())
expectError(fleet.disconnect({ id: 1 }))
expectError(fleet.disconnect({ id: 1, owner: 'ann' }))
expectType<Promise<Answer<number>>>(fleet.disconnect({ node: 'a', id: 1 }))
expectType<Promise<Answer<number>>>(fleet.count({ node: 'a', owner: 'ann' }))
expectError(fleet.disconnect({ where: () => true }))
expectError(fleet.disconnect('all', 3003))
expectType<Promise<Answer<number>>>(fleet.move({ tag: 'lobby' }, { by: 'ann' }))
expectError(fleet.move('everyone'))
expectType<Promise<Answer<number>>>(fleet.drain({ fraction: 0.1, why: 'new nodes' }))
expectError(fleet.drain())
expectError(fleet.drain({ part: 0.1 }))
