/**
 * The drain: its plan as a timeline, where it is, what it waits for, and its report.
 */
import type { FleetTurns } from '../../../track/fleet.ts'
import type { DrainPlan, DrainProgress, DrainReport, Holder } from '../../../track/drain-report.ts'
import { count, duration, html } from '../html.ts'
import type { Markup } from '../html.ts'
import { actButton } from '../layout.ts'
import type { View } from '../layout.ts'
import type { Site } from '../site.ts'
import { NO_PROGRESS, messageOf, progressOf } from '../numbers.ts'
import { facts } from '../table.ts'
import { leavers, leaves } from './nodes.ts'

/** Width of the timeline, in its own units. */
const WIDTH = 1_000

/** Makes the view. `progress` and `report`: null before a drain and before its end. */
export function drainView (site: Site, progress: DrainProgress | null, report: DrainReport | null): View {
  const { tracker, fleet } = site
  const plan = tracker.plan()
  const { share, held } = messageOf(site, progress)
  const numbers = progress === null ? NO_PROGRESS : progressOf(progress)
  return {
    title: 'Drain',
    body: html`
${timeline(plan, share, fleet?.nodes.find(({ self }) => self)?.booked)}
${progress === null && html`<p>The server is not draining. A drain takes ${duration(plan.timeout)} at most.</p>`}
${tracker.state === 'running' && html`<p class="buttons">${actButton(site, 'drain', 'Drain this server', `Drain this server? ${count(tracker.size)} connections are closed, and no new ones are accepted.`)}</p>`}
<section id="progress" aria-label="Progress"${progress === null && html` hidden`}>
<dl class="facts">${numbers.map(({ key, name, text }) => html`<dt>${name}</dt><dd data-live="${key}">${text}</dd>`)}</dl>
<table id="held"><caption>Waits for</caption><thead><tr><th scope="col">Connection</th><th scope="col">What</th><th scope="col" class="n">Time</th></tr></thead><tbody>${held.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table>
</section>
${fleet !== null && leavers(fleet)}
${report !== null && reportOf(report)}
<h3>Plan</h3>
<div class="table" tabindex="0" role="region" aria-label="Plan"><table class="plan"><thead><tr><th scope="col">Phase</th><th scope="col" class="n">From</th><th scope="col" class="n">To, at the latest</th><th scope="col">What happens</th></tr></thead>
<tbody>${plan.phases.map(({ phase, from, to, what }) => html`<tr><td><i class="${phase}"></i>${phase}</td><td class="n">${duration(from)}</td><td class="n">${duration(to)}</td><td>${what}</td></tr>`)}</tbody></table></div>
<ul>${[plan.arithmetic, ...plan.clients.map(({ what }) => what)].map((line) => html`<li>${line}</li>`)}</ul>`
  }
}

/** `booked`: turns in the calendar of the fleet. Attributes, not styles: the Content-Security-Policy allows no inline style. */
function timeline ({ phases, timeout }: DrainPlan, share: number, booked: FleetTurns | null = null): Markup {
  const at = (milliseconds: number) => Math.round(milliseconds / timeout * WIDTH)
  return html`<svg class="timeline" viewBox="0 0 ${WIDTH} 40" preserveAspectRatio="none" role="img" aria-label="Timeline of the drain, ${duration(timeout)}">
${phases.map(({ phase, from, to }) => html`<rect class="${phase}" x="${at(from)}" width="${at(to - from)}" y="0" height="40"><title>${phase}: ${duration(from)} to ${duration(to)}</title></rect>`)}
${booked !== null && html`<rect class="booked" x="${Math.round(share * WIDTH)}" width="${Math.min(WIDTH - Math.round(share * WIDTH), at(booked.within))}" y="30" height="10"><title>booked: ${leaves(booked)}</title></rect>`}
<rect id="now" x="${Math.round(share * WIDTH)}" width="4" y="0" height="40"${share === 0 && html` visibility="hidden"`}></rect>
</svg>`
}

function reportOf ({ trigger, duration: taken, aborted, connections, work, cleanups, refused, held }: DrainReport): Markup {
  return html`<h3>Report</h3>
${facts([
  ['Started by', trigger],
  ['Took', html`${duration(taken)}${aborted && ', cut short'}`],
  ['Connections', `${count(connections.total)}: ${count(connections.clean)} closed cleanly, ${count(connections.terminated)} cut off, ${count(connections.unfinished)} unfinished`],
  ['Work in flight', `${count(work.inFlight)}: ${count(work.finished)} finished, ${count(work.abandoned)} abandoned`],
  ['Cleanups', `${count(cleanups.finished)} finished, ${count(cleanups.failed)} failed, ${count(cleanups.abandoned.length)} given up`],
  ['Handshakes refused', count(refused)],
  ['Held longest by', held.length > 0 && html`<ul>${held.map(holder)}</ul>`]
])}`
}

function holder ({ connection, route, what, name, duration: taken }: Holder): Markup {
  return html`<li>#${connection} ${route}: ${what} ${name}, ${duration(taken)}</li>`
}
