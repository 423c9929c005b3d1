/**
 * The idle timeout, the lifetime and the expiry of a connection, as its route and the application have set them. The policies in
 * watch/ act on them. Made for connections that have such a limit.
 */
import { show } from '../base/check.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { isClosing } from './connection.ts'
import type { ConnectionState } from './connection.ts'
import type { ConnectionHost } from './host.ts'
import type { Settings } from './settings.ts'

/** Earliest `expiresAt`, epoch milliseconds: in 1973, where a time in seconds would be. */
const MIN_EPOCH_TIME = 1e11

/** What lifetimes need of their connection. */
interface Limited<C> {
  readonly host: Pick<ConnectionHost<C>, 'hooks'>
  readonly state: ConnectionState
}

export class Lifetimes<C extends Limited<C>> {
  readonly #connection: C
  #idleTimeout: number | false
  #maxLifetime: number | false
  #expiresAt: number | undefined

  constructor (connection: C, { idleTimeout, maxLifetime }: Settings) {
    this.#connection = connection
    this.#idleTimeout = idleTimeout
    this.#maxLifetime = maxLifetime
  }

  /** Milliseconds. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  get idleTimeout (): number | false { return this.#idleTimeout }
  set idleTimeout (timeout: number | false) {
    this.#idleTimeout = duration('idleTimeout', timeout)
    const connection = this.#connection
    if (!isClosing(connection.state)) for (const part of connection.host.hooks.idleTimeoutSet) part.idleTimeoutSet(connection)
  }

  /** Milliseconds. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  get maxLifetime (): number | false { return this.#maxLifetime }
  set maxLifetime (lifetime: number | false) {
    this.#maxLifetime = duration('maxLifetime', lifetime)
    this.#lifetimeSet()
  }

  /** Epoch milliseconds; undefined: never. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  get expiresAt (): number | undefined { return this.#expiresAt }
  set expiresAt (time: number | Date | undefined) {
    const at = time instanceof Date ? time.getTime() : time
    if (at !== undefined && !(Number.isFinite(at) && at >= MIN_EPOCH_TIME)) {
      throw new SOCKETS_ERR_INVALID_ARGUMENT('expiresAt', 'epoch milliseconds (a claim in seconds × 1000), a Date or undefined', show(at))
    }
    this.#expiresAt = at
    this.#lifetimeSet()
  }

  #lifetimeSet (): void {
    const connection = this.#connection
    if (!isClosing(connection.state)) for (const part of connection.host.hooks.lifetimeSet) part.lifetimeSet(connection)
  }
}

function duration (name: string, given: number | false): number | false {
  if (given !== false && !(Number.isInteger(given) && given > 0)) throw new SOCKETS_ERR_INVALID_ARGUMENT(name, 'a positive integer (ms) or false', show(given))
  return given
}
