/**
 * Finds the stories of connections by id, owner or request id: of those that are open, and of those that the history has.
 */
import { show } from '../base/check.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import { recordedRequestId, recordedRoute } from '../connection/facts.ts'
import type { ConnectionHost } from '../connection/host.ts'
import { unanswered } from '../connection/liveness.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { labelsOf, newest } from './history.ts'
import type { Registry } from './registry.ts'
import { closeStory, openStory } from './story.ts'
import type { Story } from './story.ts'

/** Selects the connections to explain. */
export type StoryQuery = {
  /** The id of a connection. */
  id: number
} | {
  /** An owner. */
  owner: string
} | {
  /** Fastify's id of the upgrade request; its first 128 characters are compared. */
  requestId: string
}

/** How many stories are returned at most: an owner may have as many connections as the server. */
const MAX_STORIES = 100

/** Key → type of its value. */
const TYPES: Record<string, string> = { id: 'number', owner: 'string', requestId: 'string' }

/** What is used of the host. */
type ExplainHost = Pick<ConnectionHost<ManagedConnection>, 'clock' | 'steps' | 'transport'>

/** Returns the stories of the connections that match, the newest first, at most MAX_STORIES. Throws SOCKETS_ERR_INVALID_ARGUMENT. */
export function explain (registry: Registry, host: ExplainHost, query: StoryQuery): Story[] {
  const [key, value] = checked(query)
  const found = [...registry.history.find(key, value, MAX_STORIES), ...open(registry, key, value)]
  return newest(found, MAX_STORIES, ({ id }) => id)
    .sort((a, b) => b.id - a.id)
    .map((each) => 'host' in each ? storyOf(each, host, registry) : closeStory(each, 'closed'))
}

type Key = 'id' | 'owner' | 'requestId'

function checked (query: unknown): [Key, unknown] {
  const entries = typeof query === 'object' && query !== null ? Object.entries(query) : []
  const [key, value] = entries[0] ?? []
  // eslint-disable-next-line valid-typeof -- the type is one of TYPES
  if (entries.length === 1 && key! in TYPES && typeof value === TYPES[key!] && value !== '') return [key as Key, key === 'requestId' ? recordedRequestId(value as string) : value]
  const given = entries.length === 0 ? show(query) : `{ ${entries.map(([name, each]) => `${name}: ${show(each)}`).join(', ')} }`
  throw new SOCKETS_ERR_INVALID_ARGUMENT('query', 'one of { id }, { owner } and { requestId }, with a number or a text that is not empty', given)
}

function open (registry: Registry, key: Key, value: unknown): ManagedConnection[] {
  if (key !== 'requestId') return registry.select({ [key]: value })
  return registry.select({ where: ({ requestId }) => recordedRequestId(requestId) === value })
}

function storyOf (connection: ManagedConnection, { clock, steps, transport }: ExplainHost, { kept }: Registry): Story {
  const { id, route, requestId, openedAt, startedAt, socket, state, closeSoFar } = connection
  const labels = labelsOf(connection, kept)
  if (closeSoFar !== null) return closeStory({ ...closeSoFar, ...labels }, 'closing')
  const now = clock.now()
  return openStory({
    id,
    route: recordedRoute(route),
    requestId: recordedRequestId(requestId),
    openedAt,
    age: Math.max(0, Math.round(now - startedAt)),
    steps: steps.of(connection),
    unanswered: unanswered(connection, now),
    unsent: transport.pendingBytes(socket),
    ...labels
  }, state)
}
