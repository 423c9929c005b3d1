/**
 * The readiness route, which a load balancer or a kubelet requests before it sends clients here.
 */
import type { FastifyInstance, RouteShorthandOptions } from 'fastify'
import type { Tracker } from '../track/tracker.ts'

/** Adds the route: it answers 200 while the server accepts sockets, 503 from the start of a drain. The access log leaves it out. */
export function addReadiness (app: FastifyInstance, tracker: Tracker, route: RouteShorthandOptions & { url: string }): void {
  app.get(route.url, { logLevel: 'silent', ...route }, async (_request, reply) => {
    const { state, size } = tracker
    return reply.code(state === 'running' ? 200 : 503).send({ state, connections: size })
  })
}
