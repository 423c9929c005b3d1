/**
 * The client libraries that take a WebSocket class, as the guide lists them.
 */
import { centrifuge } from './centrifuge.ts'
import { graphqlWs } from './graphql-ws.ts'
import type { Library } from './library.ts'
import { phoenix } from './phoenix.ts'
import { partysocket, reconnectingWebSocket } from './plain.ts'
import { signalr } from './signalr.ts'
import { trpc } from './trpc.ts'
import { yWebSocket } from './y-websocket.ts'

export const LIBRARIES: readonly Library[] = [partysocket, reconnectingWebSocket, graphqlWs, phoenix, trpc, centrifuge, yWebSocket, signalr]
