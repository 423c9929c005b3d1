/**
 * One client of a library on fake time, over a WebSocket class that counts, at a server behind a balancer.
 */
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { WebSocket as Ws } from 'ws'
import type { FakeClock } from '../../helpers/fake-clock.ts'
import { portOf, start } from '../../helpers/server.ts'
import type { TestApp } from '../../helpers/server.ts'
import type { LifecycleOptions } from '../../../lib/index.ts'
import { eventually, onFakeTime, passUntil, pause } from './fake-time.ts'
import type { Library, Session, WebSocketClass } from './library.ts'

/** Longest wait for an answer, milliseconds of the test's time: a client may first have to come back. */
const PATIENCE = 120_000

/** One address for servers that come and go. */
export interface Balancer {
  readonly host: string
  /** Port of the server that new connections go to; without one they are reset. */
  target: number | undefined
}

/** Starts a balancer that ends with the test. */
export async function balance (t: TestContext): Promise<Balancer> {
  const sockets = new Set<Socket>()
  const server = net.createServer((near) => {
    if (balancer.target === undefined) {
      near.resetAndDestroy()
      return
    }
    const far = net.connect(balancer.target, '127.0.0.1')
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from)
      from.on('error', () => {}).on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const balancer: Balancer = { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, target: undefined }
  return balancer
}

/** An attempt to connect that has reached the network. */
export interface Attempt { at: number, url: string, over: boolean }

/** The class below all others: Node's own where it has one (from 22 on), else `ws`. */
export const OWN = (globalThis as { WebSocket?: WebSocketClass }).WebSocket ?? Ws as unknown as WebSocketClass

/** A class whose uses are noted. */
function noting (Base: WebSocketClass, clock: FakeClock): { WebSocket: WebSocketClass, attempts: Attempt[] } {
  const attempts: Attempt[] = []
  class Noting extends Base {
    constructor (...args: ConstructorParameters<WebSocketClass>) {
      super(...args)
      const attempt: Attempt = { at: clock.now(), url: String(args[0]), over: false }
      attempts.push(attempt)
      // Node 22 tells of a failed handshake by 'error' alone.
      for (const type of ['error', 'close']) this.addEventListener(type, () => { attempt.over = true })
    }
  }
  return { WebSocket: Noting, attempts }
}

/** A server of the library. */
export async function serve (t: TestContext, library: Library, options: LifecycleOptions = {}): Promise<{ app: TestApp, publish: (number: number) => void }> {
  let publish!: (number: number) => void
  const app = await start(t, options, (app) => { publish = library.serve(app) })
  return { app, publish }
}

/** How a test makes a client of the library: `address` is what its user would give, the class what it stands on. */
export type Connect = (address: string, WebSocket: WebSocketClass) => unknown

export interface Stage {
  clock: FakeClock
  app: TestApp
  session: Session
  /** No server is to be reached any more. */
  unplug (): void
  /** The server ends the connection so that its client sees this code: 1006 is a cut, 1005 a close without code. Resolves when the client knows. */
  end (code: number, reason?: string): Promise<void>
  /** Lets time pass until there is an attempt that the test has not seen yet; undefined if there is none for this long. */
  nextAttempt (limit: number): Promise<Attempt | undefined>
  /** Lets time pass until this has settled. */
  finish (promise: Promise<unknown>): Promise<void>
}

/** Runs `body` with a client that is connected and has been served, over the class `Base`. */
export async function onStage (t: TestContext, library: Library, connect: Connect, body: (stage: Stage) => Promise<void>, Base = OWN): Promise<void> {
  // What the class knows of addresses: a port of an earlier test may come again.
  Reflect.deleteProperty(globalThis, Symbol.for('fastify-websocket-lifecycle/client'))
  // Some libraries tell of lost connections there.
  for (const method of ['info', 'warn', 'error'] as const) t.mock.method(console, method, () => {})
  const { app } = await serve(t, library)
  const balancer = await balance(t)
  balancer.target = portOf(app)
  await onFakeTime(async (clock) => {
    const { WebSocket, attempts } = noting(Base, clock)
    const session = library.use(connect(library.address(balancer.host), WebSocket))
    const finish = async (promise: Promise<unknown>) => {
      const outcome = { settled: false }
      const settle = () => { outcome.settled = true }
      promise.then(settle, settle)
      const end = clock.now() + PATIENCE
      while (!outcome.settled && clock.now() < end) {
        await passUntil(clock, 10, () => outcome.settled)
        // Real time, for the network.
        await pause()
      }
      if (!outcome.settled) throw new Error(`waited ${PATIENCE} ms of the test's time`)
      await promise
    }
    await finish(session.works())
    let seen = attempts.length
    await body({
      clock,
      app,
      session,
      unplug: () => { balancer.target = undefined },
      async end (code, reason) {
        const last = attempts[seen - 1]!
        const { socket } = app.sockets.list()[0]!
        if (code === 1006) socket.terminate()
        else if (code === 1005) socket.close()
        else socket.close(code, reason)
        await eventually(() => last.over, 'the client to know of the end')
      },
      async nextAttempt (limit) {
        return await passUntil(clock, limit, () => attempts.length > seen) ? attempts[seen++] : undefined
      },
      finish
    })
    // The last goodbyes of some libraries wait for timers.
    await finish(Promise.resolve(session.stop()))
  })
}
