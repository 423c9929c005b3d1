/**
 * The store of handed-over states on Redis: one key for each, which ends by itself.
 */
import type { HandoverStore } from '../../move/handover-store.ts'

/** Sends a command. */
type Call = (command: string, args: ReadonlyArray<string | number>) => Promise<unknown>

export class RedisHandovers implements HandoverStore {
  readonly #prefix: string
  readonly #call: Call

  constructor (prefix: string, call: Call) {
    this.#prefix = `${prefix}handover:`
    this.#call = call
  }

  async put (id: string, record: string, ttl: number): Promise<void> {
    await this.#call('SET', [this.#prefix + id, record, 'PX', Math.ceil(ttl)])
  }

  async replace (id: string, record: string, ttl: number): Promise<void> {
    await this.#call('SET', [this.#prefix + id, record, 'XX', 'PX', Math.ceil(ttl)])
  }

  async take (id: string): Promise<string | null> {
    return await this.#call('GETDEL', [this.#prefix + id]) as string | null
  }
}
