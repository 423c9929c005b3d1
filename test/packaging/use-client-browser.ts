// A TypeScript project for browsers: lib.dom, and no types of Node.js. Compiled, never run.
import { lifecycle, type LifecycleClientOptions } from 'fastify-websocket-lifecycle/client'
import { graphqlTransportWs } from 'fastify-websocket-lifecycle/client/prepare'

const options: LifecycleClientOptions = { prepare: graphqlTransportWs(), dedupe: (data: string) => data, finalCodes: [4001] }
// Libraries ask for `typeof WebSocket`.
const Given: typeof WebSocket = lifecycle(WebSocket, options)
const byDefault: typeof WebSocket = lifecycle()
const socket: WebSocket = new Given('wss://example.com', ['chat'])
const asking = new (lifecycle())(async () => new URL('wss://example.com'), () => 'chat')
asking.onmessage = ({ data }) => { socket.send(data) }
asking.addEventListener('close', ({ code, reason }) => { console.log(code.toFixed(), reason.length, byDefault.OPEN) })
// @ts-expect-error: misspelt
lifecycle(WebSocket, { finalCode: [4001] })
