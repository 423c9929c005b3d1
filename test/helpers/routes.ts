/**
 * Routes that most integration tests need, for `start`.
 */
import type { TestApp } from './server.ts'

/** A route at `/` that only keeps its connections. */
export const plain = (app: TestApp): void => { app.get('/', { websocket: true }, () => {}) }

/** A route at `/` that answers each message with the same: text with text, bytes with bytes. */
export const echo = (app: TestApp): void => {
  app.get('/', { websocket: true }, (socket) => { socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) }) })
}
