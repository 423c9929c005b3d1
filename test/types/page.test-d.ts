// Checked by tsd against dist/: the entry of the page as TypeScript users may write it, and what must be refused.
import Fastify from 'fastify'
import type { FastifyRequest } from 'fastify'
import basicAuth from '@fastify/basic-auth'
import plugin from 'fastify-websocket-lifecycle'
import page, { type PageAction, type PageOptions } from 'fastify-websocket-lifecycle/page'
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd'

const app = Fastify()
await app.register(plugin)
await app.register(basicAuth, { validate: (_name, _password, _request, _reply, done) => { done() } })
await app.register(page, { prefix: '/ops', onRequest: app.basicAuth, actions: ['disconnect', 'drain'] })
await app.register(page, { preHandler: [async () => {}, (_request, _reply, done) => { done() }], logLevel: 'warn' })
await app.register(page, { unprotected: true })

expectType<'disconnect' | 'drain'>('drain' as PageAction)
expectAssignable<PageOptions>({ by: (request: FastifyRequest) => request.headers['x-user'] as string | undefined })
expectNotAssignable<PageOptions>({ actions: ['restart'] })
expectNotAssignable<PageOptions>({ unprotected: 'yes' })
expectNotAssignable<PageOptions>({ by: () => 1 })
expectError(app.register(page, { onRequest: 'basic' }))
expectError(app.register(page, { action: ['drain'] }))
