/**
 * One connection: what is known of it.
 */
import { count, duration, href, html, time } from '../html.ts'
import { actButton } from '../layout.ts'
import type { Site, View } from '../layout.ts'
import { facts } from '../table.ts'

/** Makes the view. */
export function connectionView (site: Site, id: number): View {
  const connection = site.tracker.get(id)
  const title = `Connection ${id}`
  if (connection === undefined) return { title, body: html`<p>No open connection has this id. <a href="${href({ view: 'history' })}">History</a></p>` }
  const { state, route, owner, tags, ip, requestId, socket, openedAt, rtt, messagesReceived, idleTimeout, maxLifetime, expiresAt } = connection
  return {
    title,
    body: html`
${facts([
  ['State', html`<span class="state ${state}">${state}</span>`],
  ['Route', route],
  ['Owner', owner !== undefined && html`${owner} <a href="${href({ q: owner })}">connections</a>`],
  ['Tags', [...tags].join(', ')],
  ['Address', ip],
  ['Request', requestId],
  ['Protocol', socket.protocol],
  ['Opened', html`${time(openedAt)} (${duration(site.tracker.clock.wallNow() - openedAt)} ago)`],
  ['Round trip', rtt !== undefined && duration(rtt)],
  ['Messages received', count(messagesReceived)],
  ['Idle timeout', idleTimeout !== false && duration(idleTimeout)],
  ['Longest lifetime', maxLifetime !== false && duration(maxLifetime)],
  ['Expires', expiresAt !== undefined && time(expiresAt)]
])}
<p class="buttons">${actButton(site, 'disconnect', 'Disconnect', `Disconnect connection ${id}?`, { id })}
${owner !== undefined && actButton(site, 'disconnect', 'Disconnect its owner', `Disconnect every connection of “${owner}”?`, { owner })}</p>`
  }
}
