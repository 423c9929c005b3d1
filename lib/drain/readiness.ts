/**
 * The readiness route: what a load balancer or kubelet asks before it sends somebody here.
 */
import type { FastifyInstance, RouteShorthandOptions } from 'fastify'
import type { Tracker } from '../track/tracker.ts'

/** Adds it: 200 while sockets are taken, 503 from the first moment of a drain; kept out of the access log. */
export function addReadiness (app: FastifyInstance, tracker: Tracker, route: RouteShorthandOptions & { url: string }): void {
  app.get(route.url, { logLevel: 'silent', ...route }, async (_request, reply) => {
    const { state, size } = tracker
    return reply.code(state === 'running' ? 200 : 503).send({ state, connections: size })
  })
}
