/**
 * `fastify-websocket-lifecycle/client`: a WebSocket class for browsers, Workers and Node.js. Imports nothing.
 */
export { lifecycle } from './lifecycle.ts'
export type { LifecycleClientOptions, NextConnection, Prepare } from './options.ts'
export type { Address, Asked, BaseClass, BaseSocket, GlobalClass, LifecycleClass, StandardPart, StandardSocket } from './socket.ts'
