/**
 * What the fleet is asked: `count`, `list` and `explain`. Records of connections never leave their node but in an answer, which is
 * bounded; what other nodes answer is checked before it is used.
 */
import { show } from '../base/check.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { STATES } from '../connection/connection.ts'
import type { ConnectionState } from '../connection/connection.ts'
import { recordedRequestId, recordedRoute } from '../connection/facts.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import type { StoryQuery } from '../track/explain.ts'
import type { FleetFilter, FleetPage, FleetPageOptions, FleetStory, FleetStoryQuery, RemoteConnection } from '../track/fleet.ts'
import type { Story } from '../track/story.ts'
import { must, readAnswers, readCount } from './ask.ts'
import type { Answer, FleetCore, FleetPart, MissingNode } from './core.ts'
import { countHere } from './counted.ts'
import { checkRemoteFilter, filterOn, labelOf, nodesIn, selectOn } from './fleet-filter.ts'
import type { FleetHost } from './host.ts'

/** Connections of a page. */
const PAGE = 50
/** Most connections of a page. */
const MAX_PAGE = 500
/** Most that a node answers with, characters of JSON. */
const MAX_ANSWER = 262_144
/** Most stories of an answer. */
const MAX_STORIES = 100
/** Most events of a story of another node: more than any story has. */
const MAX_EVENTS = 100
const MAX_OWNER = 1_024
const MAX_TAGS = 100
const MAX_TAG = 256

/** A part of what a node has, and whether there is more. */
interface Part<T> { readonly items: readonly T[], readonly more: boolean }

export class Questions implements FleetPart {
  readonly #core: FleetCore
  readonly #host: FleetHost

  readonly answers = {
    count: (body: unknown) => this.#count(checkRemoteFilter((body as { filter: unknown }).filter)),
    list: (body: unknown) => this.#list(body as { filter: unknown, after: unknown, limit: unknown }),
    explain: (body: unknown) => this.#explain((body as { query: unknown }).query as StoryQuery)
  }

  constructor (core: FleetCore, host: FleetHost) {
    this.#core = core
    this.#host = host
  }

  async count (given: FleetFilter = 'all'): Promise<Answer<number>> {
    const filter = checkRemoteFilter(given)
    const label = labelOf(filter)
    if (label?.alone === true) return await this.#find(filter, label)
    const { answers, missing } = readAnswers(this.#core, await this.#core.ask('count', { filter }, nodesIn(filter)), readCount)
    return answer([...answers.values()].reduce((sum, count) => sum + count, 0), missing)
  }

  async list (given: FleetFilter = 'all', page: FleetPageOptions = {}): Promise<FleetPage> {
    const filter = checkRemoteFilter(given)
    // A bare number would be ignored.
    if (typeof page !== 'object' || page === null) throw new SOCKETS_ERR_INVALID_ARGUMENT('page', 'an object such as { limit: 100 }', show(page))
    const { limit = PAGE, after } = page
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) throw new SOCKETS_ERR_INVALID_ARGUMENT('limit', `an integer from 1 to ${MAX_PAGE}`, show(limit))
    const { node: from, id } = after === undefined ? { node: '', id: 0 } : readCursor(after)
    const nodes = (nodesIn(filter) ?? [...this.#core.nodes.keys()]).filter((node) => node >= from).sort()
    const since = this.#core.clock.now()
    const rows: RemoteConnection[] = []
    const missing: MissingNode[] = []
    // Most often the first have enough. Of those that follow, no more are asked one after another: the answer would come late.
    const enough = filter === 'all' ? this.#enoughFor(limit, nodes, from) : nodes.length
    for (const asked of enough < nodes.length ? [nodes.slice(0, enough), nodes.slice(enough)] : [nodes]) {
      const given = readAnswers(this.#core, await this.#core.ask('list', { filter, from, after: id, limit }, asked, since), readRows)
      missing.push(...given.missing)
      for (const node of asked) {
        const part = given.answers.get(node)
        if (part === undefined) continue
        const room = limit - rows.length
        rows.push(...part.items.slice(0, room))
        // The page ends where a node has more than it has answered with.
        if (part.items.length > room || part.more) return { ...answer(rows, missing), next: cursorOf(rows) }
      }
    }
    return { ...answer(rows, missing), next: null }
  }

  async explain (query: FleetStoryQuery): Promise<Answer<readonly FleetStory[]>> {
    const { node, ...rest } = readQuery(query)
    const { answers, missing } = readAnswers(this.#core, await this.#core.ask('explain', { query: rest }, node === undefined ? undefined : [node]), readStories)
    const stories = [...answers].flatMap(([each, { items }]) => items.map((story) => ({ node: each, story })))
    return answer(stories.sort((a, b) => b.story.openedAt - a.story.openedAt).slice(0, MAX_STORIES), missing)
  }

  /** Counts by what the nodes have written in the engine, and this node, by the same rule, by what it has now. */
  async #find (filter: FleetFilter, { kind, label }: { kind: 'owner' | 'tag', label: string }): Promise<Answer<number>> {
    await this.#core.ready()
    const { nodes } = await this.#core.engine.find(kind, label)
    return answer(nodes.reduce((sum, [node, count]) => node === this.#core.node ? sum : sum + count, countHere(this.#core.registry, filter)), [])
  }

  /** Returns how many nodes fill a page, by their last beats. Of `from`, the page before has shown some. */
  #enoughFor (limit: number, nodes: readonly string[], from: string): number {
    let connections = 0
    const last = nodes.findIndex((node) => node !== from && (connections += this.#core.nodes.get(node)!.connections) > limit)
    return last === -1 ? nodes.length : last + 1
  }

  // ——— answers of this node

  #count (filter: FleetFilter): number { return filter === 'all' ? this.#core.registry.size : selectOn(this.#core, filter).length }

  #list ({ filter, from, after, limit }: { filter: unknown, from?: unknown, after: unknown, limit: unknown }): Part<Row> {
    const { node, registry } = this.#core
    const here = filterOn(node, checkRemoteFilter(filter))
    // The page before has ended on this node.
    const least = from === node ? after as number : 0
    const wanted = Math.min(MAX_PAGE, limit as number)
    const found = here === null ? [] : registry.page(here, least, wanted + 1)
    const { items } = bounded(found.slice(0, wanted), rowOf)
    return { items, more: items.length < found.length }
  }

  #explain (query: StoryQuery): Part<Story> { return bounded(this.#host.explain(query), (story) => story) }
}

/** A connection as a node answers with it. */
type Row = Omit<RemoteConnection, 'node' | 'owner'> & { owner?: string }

function answer<T> (value: T, missing: readonly MissingNode[]): Answer<T> { return { value, complete: missing.length === 0, missing } }

/** Returns as many items as the longest answer has room for, one at least. */
function bounded<T, R> (items: readonly T[], map: (item: T) => R): Part<R> {
  const taken: R[] = []
  let length = 0
  for (const item of items) {
    const next = map(item)
    length += JSON.stringify(next).length
    if (taken.length > 0 && length > MAX_ANSWER) return { items: taken, more: true }
    taken.push(next)
  }
  return { items: taken, more: false }
}

function rowOf ({ id, state, owner, tags, route, ip, requestId, openedAt }: ManagedConnection): Row {
  return {
    id,
    state,
    ...(owner === undefined ? {} : { owner: owner.slice(0, MAX_OWNER) }),
    tags: [...tags].slice(0, MAX_TAGS).map((tag) => tag.slice(0, MAX_TAG)),
    route: recordedRoute(route),
    ip,
    requestId: recordedRequestId(requestId),
    openedAt
  }
}

// ——— reading of what the application and other nodes have given

/** A cursor: the id of the last connection, and its node. */
function cursorOf (rows: readonly RemoteConnection[]): string {
  const { id, node } = rows.at(-1)!
  return `${id} ${node}`
}

function readCursor (after: unknown): { node: string, id: number } {
  const [, id, node] = (typeof after === 'string' ? /^(\d{1,15}) (.+)$/s.exec(after) : null) ?? []
  if (node === undefined) throw new SOCKETS_ERR_INVALID_ARGUMENT('after', 'the `next` of a page', show(after))
  return { node, id: Number(id) }
}

function readQuery (query: unknown): { node?: string } & Record<string, unknown> {
  const { node, ...rest } = (typeof query === 'object' && query !== null ? query : {}) as Record<string, unknown>
  const [[key, value] = ['', undefined], ...more] = Object.entries(rest)
  const isOne = more.length === 0 && (key === 'id' ? Number.isInteger(value) && typeof node === 'string' : (key === 'owner' || key === 'requestId') && typeof value === 'string' && value !== '' && node === undefined)
  if (!isOne) throw new SOCKETS_ERR_INVALID_ARGUMENT('query', 'one of { node, id }, { owner } and { requestId }', show(query))
  return key === 'id' ? { node: node as string, id: value } : rest
}

function readPart (value: unknown): Part<Record<string, unknown>> {
  const { items, more } = value as Part<Record<string, unknown>>
  must(Array.isArray(items) && items.length <= MAX_PAGE && items.every((item) => typeof item === 'object' && item !== null) && (items.length > 0 || !more))
  return { items, more: Boolean(more) }
}

function isTextOrNone (value: unknown): boolean { return value === undefined || typeof value === 'string' }

function readRows (value: unknown, node: string): Part<RemoteConnection> {
  const { items, more } = readPart(value)
  return {
    more,
    items: items.map(({ id, state, owner, tags, route, ip, requestId, openedAt }) => {
      must(Number.isSafeInteger(id) && STATES.includes(state as ConnectionState) && isTextOrNone(owner) && Number.isFinite(openedAt))
      must(Array.isArray(tags) && [route, ip, requestId, ...tags].every((text) => typeof text === 'string'))
      return { node, id, state, owner, tags, route, ip, requestId, openedAt } as RemoteConnection
    })
  }
}

function readStories (value: unknown): Part<Story> {
  const { items, more } = readPart(value)
  for (const { id, state, openedAt, closedAt = openedAt, events, owner, ip, ...texts } of items) {
    must(Number.isSafeInteger(id) && STATES.includes(state as ConnectionState) && Number.isFinite(openedAt) && Number.isFinite(closedAt) && Array.isArray(events) && events.length <= MAX_EVENTS)
    must(isTextOrNone(owner) && isTextOrNone(ip) && ['route', 'requestId', 'summary'].every((key) => typeof texts[key] === 'string'))
  }
  return { items: items as unknown as Story[], more }
}
