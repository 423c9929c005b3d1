/**
 * What the page says of answers of the fleet: which nodes are missing, or that there is no answer.
 */
import type { Answer, MissingNode } from '../../track/fleet.ts'
import { count, cut, duration, html } from './html.ts'
import type { Markup } from './html.ts'

/** Most nodes that are named; the others are counted. */
const MAX_NAMED = 10

/** Returns an answer of the fleet; null and what it failed with if there is none: the engine does not answer, or a parameter is wrong. */
export function answerOf<T extends Answer<unknown>> (asked: Promise<T>): Promise<{ answer: T, failed?: undefined } | { answer: null, failed: string }> {
  return asked.then((answer) => ({ answer }), (error: Error) => ({ answer: null, failed: error.message }))
}

/** Names nodes that have not answered. */
export function namesOf (missing: readonly MissingNode[]): string {
  const names = missing.slice(0, MAX_NAMED).map(({ node, state, lastSeen }) => `${cut(node)} (${state}${lastSeen === null ? '' : `, last seen ${duration(lastSeen)} ago`})`)
  return names.join(', ') + (missing.length > MAX_NAMED ? ` and ${count(missing.length - MAX_NAMED)} more` : '')
}

/** A line about what is missing in an answer; false if nothing is. */
export function gaps ({ answer, failed }: Awaited<ReturnType<typeof answerOf>>): Markup | false {
  if (failed !== undefined) return html`<p class="gaps">Not shown: ${failed}</p>`
  return answer.missing.length > 0 && html`<p class="gaps">Not answered: ${namesOf(answer.missing)}. What they have is not shown.</p>`
}
