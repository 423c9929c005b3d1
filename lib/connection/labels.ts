/**
 * The owner and the tags of a connection. Made when the first of them is set: most connections have none.
 */
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { isClosing } from './connection.ts'
import type { ConnectionState } from './connection.ts'
import type { ConnectionHost } from './host.ts'

/** What labels need of their connection. */
interface Labelled<C> {
  readonly host: Pick<ConnectionHost<C>, 'hooks'>
  readonly state: ConnectionState
}

const NO_TAGS: ReadonlySet<string> = new Set()

export class Labels<C extends Labelled<C>> {
  readonly #connection: C
  #owner: string | undefined
  #tags: ReadonlySet<string> = NO_TAGS

  constructor (connection: C) {
    this.#connection = connection
  }

  get owner (): string | undefined { return this.#owner }

  /** A snapshot. */
  get tags (): ReadonlySet<string> { return this.#tags }

  /** Sets the owner. Returns whether the connection may stay open. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  setOwner (owner: string | undefined): boolean {
    if (owner !== undefined && typeof owner !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT('owner', 'a string or undefined', typeof owner)
    const connection = this.#connection
    const previous = this.#owner
    this.#owner = owner
    let stays = true
    if (connection.state !== 'closed') for (const part of connection.host.hooks.ownerSet) stays = part.ownerSet(connection, owner, previous) && stays
    return stays && !isClosing(connection.state)
  }

  /** Adds tags, unless the connection is closed. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
  add (tags: readonly string[]): void {
    for (const tag of tags) if (typeof tag !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT('tag', 'a string', typeof tag)
    const connection = this.#connection
    const added = new Set(tags.filter((tag) => !this.#tags.has(tag)))
    if (connection.state === 'closed' || added.size === 0) return
    // A new set: code that has read the tags holds a snapshot.
    this.#tags = new Set([...this.#tags, ...added])
    for (const tag of added) for (const part of connection.host.hooks.tagged) part.tagged(connection, tag)
  }

  remove (tags: readonly string[]): void {
    const connection = this.#connection
    const removed = new Set(tags.filter((tag) => this.#tags.has(tag)))
    if (removed.size === 0) return
    this.#tags = new Set([...this.#tags].filter((tag) => !removed.has(tag)))
    for (const tag of removed) for (const part of connection.host.hooks.untagged) part.untagged(connection, tag)
  }
}

/** The tags of a connection that may have no labels. */
export function tagsOf (labels: { readonly tags: ReadonlySet<string> } | null): ReadonlySet<string> {
  return labels === null ? NO_TAGS : labels.tags
}
