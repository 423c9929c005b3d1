/**
 * One connection: what is known of it, and its story.
 */
import type { Connection } from '../../../connection/connection.ts'
import type { Story, StoryEvent } from '../../../track/story.ts'
import { bytes, count, duration, href, html, time } from '../html.ts'
import type { Content, Markup } from '../html.ts'
import { actButton } from '../layout.ts'
import type { View } from '../layout.ts'
import type { Site } from '../site.ts'
import { facts } from '../table.ts'

/** What the view says of an id that is unknown. */
export const UNKNOWN = html`<p>Neither an open connection nor one of the <a href="${href({ view: 'history' })}">history</a> has this id.</p>`

/** Makes the view. */
export function connectionView (site: Site, id: number): View {
  const { tracker } = site
  const story = Number.isSafeInteger(id) ? tracker.explain({ id })[0] : undefined
  const title = `Connection ${id}`
  if (story === undefined) return { title, body: UNKNOWN }
  const connection = tracker.get(id)
  const owner = connection?.owner ?? story.owner
  return {
    title,
    body: html`
<p>${story.summary}</p>
${facts([
  ...storyFacts(site, story, owner, connection?.ip),
  ...connection === undefined ? [] : liveFacts(connection)
])}
${storyOf(story)}
${connection !== undefined && html`<p class="buttons">${actButton(site, 'disconnect', 'Disconnect', `Disconnect connection ${id}?`, { id })}
${owner !== undefined && ownerButton(site, owner)}</p>`}`
  }
}

/** A button that closes the connections of an owner, on all servers of a fleet. */
export function ownerButton (site: Site, owner: string): Markup | false {
  return actButton(site, 'disconnect', 'Disconnect its owner', `Disconnect every connection of “${owner}”${site.fleet === null ? '' : ', on all servers'}?`, { owner })
}

/** An owner, and where to find its connections. */
function ownerFact ({ fleet }: Site, owner: string): Markup {
  return html`${owner} <a href="${href(fleet === null ? { q: owner } : { view: 'fleet', owner })}">connections</a> <a href="${href({ view: 'history', owner })}">history</a>`
}

/** What a story tells of its connection; `owner` and `ip` are those of a connection that is not closed. */
export function storyFacts (site: Site, { state, route, requestId, openedAt, closedAt, ...story }: Story, owner: string | undefined, ip = story.ip): Array<[string, Content]> {
  return [
    ['State', html`<span class="state ${state}">${state}</span>`],
    ['Route', route],
    ['Owner', owner !== undefined && ownerFact(site, owner)],
    ['Address', ip],
    ['Request', requestId],
    ['Opened', html`${time(openedAt)} (open for ${duration(Math.max(0, (closedAt ?? site.tracker.clock.wallNow()) - openedAt))})`]
  ]
}

/** What only a connection that is not closed has. */
function liveFacts ({ tags, socket, rtt, messagesReceived, idleTimeout, maxLifetime, expiresAt }: Connection): Array<[string, Content]> {
  return [
    ['Tags', [...tags].join(', ')],
    ['Protocol', socket.protocol],
    ['Round trip', rtt !== undefined && duration(rtt)],
    ['Messages received', count(messagesReceived)],
    ['Idle timeout', idleTimeout !== false && duration(idleTimeout)],
    ['Longest lifetime', maxLifetime !== false && duration(maxLifetime)],
    ['Expires', expiresAt !== undefined && time(expiresAt)]
  ]
}

/** Writes the story of a connection. */
export function storyOf ({ events }: Story): Markup {
  return html`<h3>Story</h3>
<ol class="story">${events.map((event) => html`<li>${time(event.at)} <b>${event.what}</b> ${detail(event)}</li>`)}</ol>`
}

function detail ({ duration: waited, bytes: unsent, cause, code, reason, by, why, clean, receivedCode }: StoryEvent): string {
  return [
    waited !== undefined && `for ${duration(waited)}`,
    unsent !== undefined && bytes(unsent),
    cause !== undefined && `${cause}, code ${code}`,
    reason !== undefined && reason !== '' && `“${reason}”`,
    by !== undefined && `by ${by}`,
    why !== undefined && `because: ${why}`,
    clean !== undefined && (clean ? 'cleanly' : 'without a complete close handshake'),
    typeof receivedCode === 'number' && `the peer sent ${receivedCode}`
  ].filter((part) => part !== false).join(', ')
}
