// Checked by tsd against dist/: the client as TypeScript users may write it, and what must be refused.
import { lifecycle, type LifecycleClientOptions } from 'fastify-websocket-lifecycle/client'
import { graphqlTransportWs, helloAgain } from 'fastify-websocket-lifecycle/client/prepare'
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd'
import { WebSocket } from 'ws'

const Socket = lifecycle(WebSocket, { timeout: 5_000, prepare: async (next) => { next.send(await next.message((data) => data === 'x')) } })
expectType<0>(Socket.CONNECTING)
const socket = new Socket(async () => 'ws://example.com', () => ['chat'], { headers: {} })
expectType<string>(socket.url)
socket.addEventListener('close', ({ code, reason }) => {
  expectType<number>(code)
  expectType<string>(reason)
})
// Of ws alone.
expectError(socket.ping())
expectError(new Socket(1))

expectAssignable<LifecycleClientOptions>({ prepare: graphqlTransportWs({ connectionParams: async () => ({}) }), dedupe: (data: string) => data, move: false })
expectAssignable<LifecycleClientOptions>({ prepare: helloAgain({ hello: () => 'key', answer: () => true }), finalCodes: [4001] as const })
expectNotAssignable<LifecycleClientOptions>({ finalCodes: 1008 })
expectNotAssignable<LifecycleClientOptions>({ prepare: 'graphql' })
expectError(lifecycle(WebSocket, { retry: true }))
