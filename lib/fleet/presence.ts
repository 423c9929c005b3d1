/**
 * Presence: whether an owner has a connection on any node, and events when that changes.
 *
 * The engine tells each change to one node, which tells the nodes that have listeners: at most once, and in the order of the engine:
 * a change that arrives after a later one of the same owner, from another node, is left out. An owner whose clients were told
 * to come back, or whose node was lost, stays online for that time.
 */
import { show } from '../base/check.ts'
import { afterInput } from '../base/clock.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { must } from './ask.ts'
import type { FleetCore, FleetPart } from './core.ts'
import { countHere } from './counted.ts'
import type { PresenceChange, Pulse, Whereabouts } from './engine.ts'
import { BEAT_INTERVAL } from './membership.ts'
import type { OwnerPresence } from '../track/fleet.ts'

/** Most owners of one message. */
const BATCH = 250
/** No message arrives so late, milliseconds: changes are kept for two beats at most. */
const LATEST = 2 * BEAT_INTERVAL

export class Presences implements FleetPart {
  readonly #core: FleetCore
  /** Owner → time of its last change that was told: since the last beat, and between the last two. */
  #last = new Map<string, number>()
  #before = new Map<string, number>()
  /** Changes that are about to be told; `here`: the engine has told them to this node. */
  readonly #changes: Array<PresenceChange & { here: boolean }> = []
  readonly hears = { presence: (body: unknown): void => { this.#hear(body) } }

  constructor (core: FleetCore) {
    this.#core = core
  }

  async of (owner: string): Promise<OwnerPresence> {
    if (typeof owner !== 'string') throw new SOCKETS_ERR_INVALID_ARGUMENT('owner', 'a string', show(owner))
    const { node, engine } = this.#core
    const found = await this.#core.ready().then(() => engine.find('owner', owner)).catch(() => null)
    // The engine may not know yet what this node knows.
    const here = countHere(this.#core.registry, { owner })
    const others = (found?.nodes ?? []).filter(([id]) => id !== node).map(([id, connections]) => ({ node: id, connections }))
    const nodes = here === 0 ? others : [{ node, connections: here }, ...others]
    const connections = nodes.reduce((sum, each) => sum + each.connections, 0)
    return { online: connections > 0 || onlineByTime(found), connections, nodes, ...expectedBack(found, connections), complete: found !== null }
  }

  // ——— events of the fleet

  /** A node that has no listener is told nothing. */
  info (): Record<string, unknown> { return this.#listens ? { presence: true } : {} }

  beaten ({ now, offline }: Pulse): void {
    // No message is that late.
    this.#before = this.#last
    this.#last = new Map()
    if (offline.length > 0) this.changed({ at: now, online: [], offline })
  }

  /** The engine has told a change to this node. */
  changed (change: PresenceChange): void { this.#add({ ...change, here: true }) }

  close (): void { this.#tell() }

  /** Adds a change: what has arrived by now, answers of several calls and messages, is told in the order of the engine. */
  #add (change: PresenceChange & { here: boolean }): void {
    this.#changes.push(change)
    if (this.#changes.length === 1) afterInput(this.#core.clock, () => { this.#tell() })
  }

  #tell (): void {
    const to = this.#core.others.filter(({ info }) => info['presence'] === true).map(({ id }) => id)
    for (const change of this.#changes.splice(0).sort((a, b) => a.at - b.at)) {
      if (change.here && to.length > 0) this.#send(to, change)
      this.#emit(change)
    }
  }

  #send (to: readonly string[], { at, online, offline }: PresenceChange): void {
    for (let i = 0; i < Math.max(online.length, offline.length); i += BATCH) {
      this.#core.send(to, 'presence', { at, online: online.slice(i, i + BATCH), offline: offline.slice(i, i + BATCH) }).catch(() => {})
    }
  }

  get #listens (): boolean { return this.#core.listens('online') || this.#core.listens('offline') }

  #hear (body: unknown): void {
    const { at, online, offline } = body as Record<string, unknown>
    must(Number.isFinite(at))
    this.#add({ at: at as number, online: owners(online), offline: owners(offline), here: false })
  }

  #emit ({ at, online, offline, here }: PresenceChange & { here: boolean }): void {
    if (!this.#listens) return
    for (const owner of online) if (this.#isNews(owner, at)) this.#core.emit('online', { owner, here })
    for (const owner of offline) if (this.#isNews(owner, at)) this.#core.emit('offline', { owner, here })
  }

  /** Returns false if a later change of an owner was told. */
  #isNews (owner: string, at: number): boolean {
    const last = this.#last.get(owner) ?? this.#before.get(owner) ?? -Infinity
    // Older than a late one, it is a new one: a replica that was promoted may have a clock behind that of its primary.
    if (at < last && last - at < LATEST) return false
    this.#last.set(owner, at)
    return true
  }
}

/** Returns whether an owner without connections is online; null: the engine has not answered. */
function onlineByTime (found: Whereabouts | null): boolean | 'unknown' {
  return found === null ? 'unknown' : found.expectedBack !== null
}

function expectedBack (found: Whereabouts | null, connections: number): { expectedBack?: number } {
  return found === null || found.expectedBack === null || connections > 0 ? {} : { expectedBack: found.expectedBack }
}

/** Returns the owners of a message of another node; its other entries are left out. */
function owners (list: unknown): string[] {
  return Array.isArray(list) ? list.slice(0, BATCH).filter((owner) => typeof owner === 'string') : []
}
