/**
 * A WebSocket client for tests: a real socket on loopback, which keeps the messages that the test has not read.
 */
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import type { ClientOptions } from 'ws'

/** How the connection of a client ended. */
export interface Closed {
  /** Close code; 1006 without a close frame (RFC 6455 §7.1.5). */
  code: number
  /** Close reason. */
  reason: string
}

/** A client that is connected. */
export interface TestClient {
  /** The `ws` client. */
  readonly socket: WebSocket
  /** Resolves with the next message, text as string: the first unread one, or the next to arrive. Rejects if the connection ends first. */
  next (): Promise<string | Buffer>
  /** Messages that `next` has not returned. */
  readonly unread: Array<string | Buffer>
  /** Sends a message. */
  send (data: string | Buffer): void
  /** Closes the connection; resolves as `closed` does. @default code 1000 */
  close (code?: number, reason?: string): Promise<Closed>
  /** Resolves with code and reason at the end of the connection; never rejects. */
  readonly closed: Promise<Closed>
}

/** Options of `connect`, beside those of a `ws` client (`headers`, `origin` …). */
export interface ConnectOptions extends ClientOptions {
  /** Subprotocols to offer. */
  protocols?: string[]
  /** Address to connect to. @default '127.0.0.1' */
  to?: string
}

/** Apps that are starting to listen: clients that connect at the same time must not start it twice. */
const listening = new WeakMap<FastifyInstance, Promise<unknown>>()

/**
 * Connects to a path of an app. An app that does not listen is started on a free port of 127.0.0.1. Rejects if the handshake is
 * refused, with `status` and `headers` of the answer on the error.
 */
export async function connect (app: FastifyInstance, path: string, { to = '127.0.0.1', ...options }: ConnectOptions = {}): Promise<TestClient> {
  if (!app.server.listening) await listen(app)
  const scheme = 'setSecureContext' in app.server ? 'wss' : 'ws'
  return await open(`${scheme}://${to}:${(app.server.address() as AddressInfo).port}${path}`, options)
}

function listen (app: FastifyInstance): Promise<unknown> {
  let promise = listening.get(app)
  if (promise === undefined) listening.set(app, promise = app.listen({ port: 0, host: '127.0.0.1' }))
  return promise
}

/** Connects to a URL, such as that of another process; otherwise as `connect`. */
export async function open (url: string, { protocols = [], ...options }: Omit<ConnectOptions, 'to'> = {}): Promise<TestClient> {
  const socket = new WebSocket(url, protocols, { rejectUnauthorized: false, ...options })
  const unread: Array<string | Buffer> = []
  const waiting: Array<{ resolve: (message: string | Buffer) => void, reject: (error: Error) => void }> = []
  let end: Closed | null = null
  // Added before the handshake: messages may arrive with its answer.
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const message = isBinary ? data : data.toString()
    const first = waiting.shift()
    if (first === undefined) unread.push(message)
    else first.resolve(message)
  })
  const closed = new Promise<Closed>((resolve) => {
    socket.once('close', (code, reason) => {
      end = { code, reason: reason.toString() }
      for (const { reject } of waiting.splice(0)) reject(endedError(end))
      resolve(end)
    })
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.on('error', reject)
    socket.once('unexpected-response', (_request, response) => {
      response.resume()
      socket.terminate()
      reject(Object.assign(new Error(`refused with ${response.statusCode}`), { status: response.statusCode, headers: response.headers }))
    })
  })
  return {
    socket,
    unread,
    closed,
    send: (data) => { socket.send(data) },
    close: (code = 1000, reason = '') => {
      socket.close(code, reason)
      return closed
    },
    next: () => new Promise((resolve, reject) => {
      const message = unread.shift()
      if (message !== undefined) resolve(message)
      else if (end !== null) reject(endedError(end))
      else waiting.push({ resolve, reject })
    })
  }
}

function endedError ({ code, reason }: Closed): Error {
  return new Error(`the connection ended with ${code} ${reason}`)
}
