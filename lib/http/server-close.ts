/**
 * The close of an HTTP server, which may serve several applications: one after another, or two at once while a hot reload replaces
 * one by the next.
 *
 * `close` of the server is replaced by a method whose callback waits for drains, so that no onClose hook of another plugin starts
 * before the last cleanup, unless a drain had no time for all connections. The last application to leave restores it.
 */
import type { Server } from 'node:http'
import { HttpSockets } from './http-sockets.ts'

type Close = Server['close']

/** An application whose drain the close of the server waits for. */
export interface Gate {
  /** Whether the application is closing. */
  readonly closing: boolean
  /** Whether its drain has begun. */
  readonly draining: boolean
  /** Starts the drain or joins it, and resolves at its end: to false if it had no time for all connections, whose raw sockets are left. */
  drained (): Promise<boolean>
}

const byServer = new WeakMap<Server, ServerClose>()

export class ServerClose {
  readonly sockets = new HttpSockets()
  readonly #server: Server
  readonly #gates = new Set<Gate>()
  #unwatch: (() => void) | null = null
  /** The method that replaces `close`. */
  #close: Close | null = null
  /** Restores the method before it. */
  #restore: (() => void) | null = null

  /** Returns the instance of a server. */
  static of (server: Server): ServerClose {
    const known = byServer.get(server)
    if (known !== undefined) return known
    const made = new ServerClose(server)
    byServer.set(server, made)
    return made
  }

  private constructor (server: Server) {
    this.#server = server
  }

  /** Adds an application. */
  join (gate: Gate): void {
    this.#unwatch ??= this.sockets.watch(this.#server)
    this.#gates.add(gate)
    // Also if the method was replaced since: the replacement may not call ours in every case.
    if (this.#server.close !== this.#close) this.#replaceClose()
  }

  /** Has the last answer on each connection say `Connection: close`, unless another application serves. Returns a function that ends this. */
  markLastAnswers (): () => void { return this.sockets.markLastAnswers(() => [...this.#gates].every((gate) => gate.draining)) }

  /** Removes an application that is closed. */
  leave (gate: Gate): void {
    if (!this.#gates.delete(gate) || this.#gates.size > 0) return
    this.#unwatch!()
    this.#unwatch = null
    // If the method was replaced since, the replacement calls ours, which no longer waits.
    if (this.#server.close === this.#close) this.#restore!()
  }

  #replaceClose (): void {
    const server = this.#server
    const { close } = server
    const own = Object.hasOwn(server, 'close')
    this.#restore = () => {
      if (own) server.close = close
      else delete (server as { close?: Close }).close
    }
    this.#close = server.close = (callback) => {
      const gates = this.#waitedFor()
      const stopped = this.#stop(close)
      void Promise.all(gates.map((gate) => gate.drained()))
        .then((complete) => complete.every(Boolean) ? stopped : Promise.race([stopped, this.sockets.gone()]))
        .then((error) => callback?.(error))
      return server
    }
  }

  /** Returns the applications that a close waits for. */
  #waitedFor (): Gate[] {
    const gates = [...this.#gates]
    const closing = gates.filter((gate) => gate.closing)
    // An application that closes does not drain the others.
    if (closing.length > 0) return closing
    // The server itself is closed: all drain, unless it does not listen and its close only fails.
    return this.#server.listening ? gates : []
  }

  /** Closes the server. Resolves when its last TCP connection is gone, or when it listens again, for another application. */
  #stop (close: Close): Promise<Error | undefined> {
    const server = this.#server
    return new Promise((resolve) => {
      const over = (error?: Error) => {
        server.removeListener('listening', over)
        resolve(error)
      }
      server.once('listening', over)
      close.call(server, over)
    })
  }
}
