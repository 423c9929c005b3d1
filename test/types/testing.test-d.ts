// Checked by tsd against dist/: the testing entry as TypeScript users may write it, and what must be refused.
import Fastify from 'fastify'
import plugin, { type Clock, type LifecycleOptions } from 'fastify-websocket-lifecycle'
import {
  assertClean, connect, createClock,
  type CleanOptions, type Closed, type ConnectOptions, type TestClient, type TestClock, type TestClockOptions
} from 'fastify-websocket-lifecycle/testing'
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd'
import type { WebSocket } from 'ws'

const app = Fastify()

// ——— clients

const client = await connect(app, '/')
expectType<TestClient>(client)
expectAssignable<WebSocket>(client.socket)
expectType<Promise<string | Buffer>>(client.next())
expectType<Array<string | Buffer>>(client.unread)
expectType<void>(client.send('text'))
expectType<void>(client.send(Buffer.from('binary')))
expectType<Promise<Closed>>(client.closed)
expectType<Promise<Closed>>(client.close())
expectType<Promise<Closed>>(client.close(4000, 'done'))
expectType<Closed>({ code: 1000, reason: '' })
expectType<number>((await client.closed).code)
expectType<string>((await client.closed).reason)
expectType<Promise<TestClient>>(connect(app, '/', { headers: { cookie: 'a=b' }, protocols: ['chat'], to: '[::1]', autoPong: false }))
expectAssignable<ConnectOptions>({})
expectNotAssignable<ConnectOptions>({ protocols: 'chat' })
expectError(await connect('ws://localhost/'))
expectError(await connect(app))
expectError(await connect(app, '/', { path: 1 }))
expectError(client.send({ json: true }))
expectError(client.close('done'))
expectError(client.closed = Promise.resolve({ code: 1000, reason: '' }))

// ——— clocks

const clock = createClock()
expectType<TestClock>(clock)
expectAssignable<Clock>(clock)
expectAssignable<LifecycleOptions>({ clock })
await app.register(plugin, { clock, idleTimeout: 60_000 })
expectType<Promise<void>>(clock.tick(1_000))
expectType<void>(clock.stall(3_000))
expectType<void>(clock.setWall(new Date()))
expectType<void>(clock.setWall(0))
expectType<number>(clock.now())
expectType<number>(clock.wallNow())
expectType<number>(clock.pendingTimers)
expectType<TestClock>(createClock({ wall: new Date(2030, 0, 1) }))
expectAssignable<TestClockOptions>({ wall: 0 })
expectNotAssignable<TestClockOptions>({ wall: '2030-01-01' })
expectError(createClock(1_000))
expectError(clock.tick('1s'))
expectError(clock.pendingTimers = 0)

// ——— nothing left

expectType<Promise<void>>(assertClean(app))
expectType<Promise<void>>(assertClean(app, { sockets: 1 }))
expectAssignable<CleanOptions>({})
expectNotAssignable<CleanOptions>({ sockets: '1' })
expectError(assertClean())
expectError(assertClean(app.sockets))
