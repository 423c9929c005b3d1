/**
 * `fastify-websocket-lifecycle/testing`: for tests of applications that use the plugin.
 */
export { assertClean } from './assert-clean.ts'
export type { CleanOptions } from './assert-clean.ts'
export { createClock } from './clock.ts'
export type { TestClock, TestClockOptions } from './clock.ts'
export { createFleet } from './create-fleet.ts'
export type { TestFleetOptions } from './create-fleet.ts'
export { connect } from './connect.ts'
export type { Closed, ConnectOptions, TestClient } from './connect.ts'
