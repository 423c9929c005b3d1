/**
 * The listening side of an HTTP server, which may serve several applications: one after another, or two at once while a
 * hot reload puts a new one in the place of the old.
 *
 * The server's `close` is replaced by one whose callback waits for drains, so that no other plugin's onClose starts before
 * the last cleanup. With the last application everything is taken off the server again.
 */
import type { Server } from 'node:http'
import { HttpSockets } from './http-sockets.ts'

type Close = Server['close']

/** An application whose drain a close waits for. */
export interface Gate {
  /** Whether its application is closing. */
  readonly closing: boolean
  /** Starts the drain, or joins it. */
  drained (): Promise<unknown>
}

const byServer = new WeakMap<Server, ServerClose>()

export class ServerClose {
  readonly sockets = new HttpSockets()
  readonly #server: Server
  readonly #gates = new Set<Gate>()
  #unwatch: (() => void) | null = null
  /** Our `close`, and takes it off. */
  #close: Close | null = null
  #restore: (() => void) | null = null

  /** The one of a server. */
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

  /** Lets the server's close wait for an application. */
  join (gate: Gate): void {
    this.#unwatch ??= this.sockets.watch(this.#server)
    this.#gates.add(gate)
    // Also where another has replaced ours since: its own may not call ours in every case.
    if (this.#server.close !== this.#close) this.#replaceClose()
  }

  /** The application is closed. */
  leave (gate: Gate): void {
    if (!this.#gates.delete(gate) || this.#gates.size > 0) return
    this.#unwatch!()
    this.#unwatch = null
    // One that another has replaced since calls the one before, and waits for nothing.
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
      void Promise.all([this.#stop(close), ...gates.map((gate) => gate.drained())]).then(([error]) => callback?.(error))
      return server
    }
  }

  /** The gates that a close waits for. */
  #waitedFor (): Gate[] {
    const gates = [...this.#gates]
    const closing = gates.filter((gate) => gate.closing)
    // An application that closes takes no other with it.
    if (closing.length > 0) return closing
    // The server itself is closed: all drain. One that does not listen yet only answers that it does not.
    return this.#server.listening ? gates : []
  }

  /** Resolves when the last TCP connection is gone; also when the server listens again, for another application. */
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
