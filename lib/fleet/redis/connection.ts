/**
 * One connection of the engine to Redis. It reconnects by itself; while it is down, commands reject at once and say why.
 *
 * ioredis reports that a connection cannot be made or has ended by an event `error`, which must have a listener, and rejects
 * commands with other words: the error of a command here carries both.
 */
import { duplicateOf } from './client.ts'
import type { Duplicate, RedisClient, Timeouts } from './client.ts'
import type { Script } from './prelude.ts'

// Texts of errors, because there are no codes: seen in ioredis 5.11 and 6.0, and Redis 7.0. An error with another text is passed on as
// it is.

/** Errors of ioredis for a command without a connection, and the error of Redis for a command with a wrong password. */
const NOT_CONNECTED = /enableOfflineQueue|Connection is closed|max retries per request|None of startup nodes|^NOAUTH/
/** The error of Redis before version 7 for the first line of a script. */
const NO_SHEBANG = /unexpected symbol near '#'/
/** The error of ioredis for a command that was not answered in time. */
const TIMED_OUT = 'Command timed out'

export class Connection {
  readonly #client: Duplicate
  /** Why there is no connection. */
  #failure: Error | undefined
  #closed = false
  /** Whether the connection is about to end, and to be made anew. */
  #ends = false

  constructor (client: RedisClient, timeouts: Timeouts) {
    this.#client = duplicateOf(client, timeouts)
    this.#client.on('close', () => { this.#ends = false })
    this.#client.on('error', (error: Error) => { this.#failure = withoutCommand(error) })
  }

  get ready (): boolean { return this.#client.status === 'ready' }

  /** Connects. Once only. */
  async open (): Promise<void> {
    await this.#tried(this.#client.connect())
  }

  async call (command: string, args: ReadonlyArray<string | number>): Promise<unknown> {
    return await this.#tried(this.#client.call(command, args))
  }

  async run (script: Script, key: string, args: ReadonlyArray<string | number>): Promise<unknown> {
    try {
      return await this.call('EVALSHA', [script.sha, 1, key, ...args])
    } catch (error) {
      // Redis has restarted, or has never had the script.
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
      return await this.call('EVAL', [script.text, 1, key, ...args])
    }
  }

  /** Calls `hear` for each message on a channel, also after a reconnection. */
  async subscribe (channel: string, hear: (message: string) => void): Promise<void> {
    this.#client.on('message', (_channel: string, message: string) => { if (!this.#closed) hear(message) })
    await this.#tried(this.#client.subscribe(channel))
    // If that fails, the connection has ended once more, or the node does not hear its own probe.
    this.#client.on('ready', () => { this.#client.subscribe(channel).catch((error: Error) => { this.#failure = withoutCommand(error) }) })
  }

  /** Ends the connection for good; commands in flight reject. */
  async close (): Promise<void> {
    // Input that has arrived is still read, and another connection may hear the same messages.
    this.#closed = true
    const ended = this.ready ? new Promise<void>((resolve) => { this.#client.once('end', resolve) }) : undefined
    this.#client.disconnect()
    await ended
  }

  /** Makes the connection anew. Once for all commands that time out: each time, ioredis adds a listener to its socket. */
  #renew (): void {
    if (this.#ends) return
    this.#ends = this.ready
    this.#client.disconnect(true)
  }

  async #tried<T> (answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (rejection) {
      const error = withoutCommand(rejection as Error)
      const { message } = error
      // A frozen Redis carries out all that it has been sent when it thaws: it is sent no more.
      if (message === TIMED_OUT) this.#renew()
      if (NO_SHEBANG.test(message)) throw new Error('a fleet needs Redis 7 or newer', { cause: error })
      if (!NOT_CONNECTED.test(message)) throw error
      const why = this.#failure?.message ?? (message.startsWith('NOAUTH') ? message : 'the connection has ended')
      throw new Error(`Redis is not connected: ${why}`, { cause: this.#failure ?? error })
    }
  }
}

/** Removes from an error of ioredis the command that has failed: its arguments are a password, a state that is handed over, or owners. */
function withoutCommand (error: Error): Error {
  delete (error as { command?: unknown }).command
  return error
}
