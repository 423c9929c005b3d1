/**
 * One connection of another node: what that node says of it. Its answer is checked by the fleet, but for the events of a story.
 */
import { attempt } from '../../../base/guard.ts'
import type { Fleet } from '../../../track/fleet.ts'
import { answerOf, gaps } from '../answers.ts'
import { href, html } from '../html.ts'
import { actButton } from '../layout.ts'
import type { View } from '../layout.ts'
import type { Site } from '../site.ts'
import { facts } from '../table.ts'
import { ownerButton, storyFacts, storyOf, UNKNOWN } from './connection.ts'

/** Makes the view. */
export async function remoteView (site: Site & { fleet: Fleet }, node: string, id: number): Promise<View> {
  const { fleet } = site
  const title = `Connection ${id} of ${node}`
  if (!Number.isSafeInteger(id)) return { title, body: UNKNOWN }
  // A closed connection has a story alone; at once, so that a node that does not answer is waited for once.
  const [told, listed] = await Promise.all([answerOf(fleet.explain({ node, id })), answerOf(fleet.list({ node, id }))])
  const story = told.answer?.value[0]?.story
  if (story === undefined) return { title, body: gaps(told) || UNKNOWN }
  const connection = listed.answer?.value[0]
  const owner = connection?.owner ?? story.owner
  return {
    title,
    body: html`
<p>${story.summary}</p>
${facts([
  ['Node', html`<a href="${href({ view: 'fleet', node })}">${node}</a>`],
  ...storyFacts(site, story, owner, connection?.ip),
  ['Tags', connection?.tags.join(', ')]
])}
${attempt(() => storyOf(story), () => {}) ?? html`<p>The story cannot be read.</p>`}
${connection !== undefined && html`<p class="buttons">${actButton(site, 'disconnect', 'Disconnect', `Disconnect connection ${id} of ${node}?`, { node, id })}
${owner !== undefined && ownerButton(site, owner)}</p>`}`
  }
}
